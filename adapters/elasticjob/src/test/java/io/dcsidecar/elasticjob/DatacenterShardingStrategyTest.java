package io.dcsidecar.elasticjob;

import static io.dcsidecar.client.Fixtures.eventually;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dcsidecar.client.FakeSidecar;
import io.dcsidecar.client.PropertyReader;
import io.dcsidecar.v1.FilterWorkersRequest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.stream.Collectors;
import org.apache.shardingsphere.elasticjob.infra.handler.sharding.JobInstance;
import org.apache.shardingsphere.elasticjob.infra.handler.sharding.JobShardingStrategy;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class DatacenterShardingStrategyTest {
    private static final JobInstance A = instance(1, "{\"datacenter\":\"dc1\"}");
    private static final JobInstance B = instance(2, "{\"datacenter\":\"dc1\"}");
    private static final JobInstance C = instance(3, "{\"datacenter\":\"dc2\"}");
    private final FakeSidecar fake = new FakeSidecar();
    private final Map<String, String> properties = new HashMap<>();
    /** The live instances at each look, the last one from then on. */
    private final List<List<JobInstance>> live = new ArrayList<>(Arrays.asList(Arrays.asList(A, B, C)));
    private final DatacenterShardingStrategy strategy = new DatacenterShardingStrategy(new PropertyReader(properties::get),
            job -> "billing", job -> live.size() > 1 ? live.remove(0) : live.get(0));

    @AfterEach
    void close() {
        strategy.close();
        fake.close();
    }

    @Test
    @DisplayName("All shards go to the serving datacenter's instances, among which ElasticJob's own strategy chooses")
    void servingDatacenter() {
        connect();
        assertEquals(sharding(A, Arrays.asList(0, 1, 4), B, Arrays.asList(2, 3), C, Collections.emptyList()), shard(5));
        fake.switchTo("dc2");
        eventually("the switch arrives", () -> shard(5).get(C).size() == 5);
    }

    @Test
    @DisplayName("The sidecar is asked for each shard, with the shard as the instance, and with each instance's datacenter and address")
    void request() {
        connect();
        shard(2);
        List<FilterWorkersRequest> shards = fake.requests.subList(fake.requests.size() - 2, fake.requests.size());
        assertEquals(Arrays.asList("settle/0", "settle/1"), shards.stream().map(FilterWorkersRequest::getInstance)
                .collect(Collectors.toList()));
        FilterWorkersRequest request = shards.get(1);
        assertEquals("billing", request.getApp());
        assertEquals("settle", request.getJob());
        assertEquals("10.0.0.1:17", request.getCandidates(0).getAddress());
        assertEquals("{\"datacenter\":\"dc1\"}", request.getCandidates(0).getMetrics());
    }

    @Test
    @DisplayName("dc-sidecar.application names the application, and labels that are no object are tags")
    void application() {
        properties.put("dc-sidecar.application", "reports");
        connect();
        live.set(0, Arrays.asList(instance(1, "gpu,dc1")));
        strategy.sharding(live.get(0), "settle", 1);
        assertEquals("reports", fake.requests.get(0).getApp());
        assertEquals("gpu,dc1", fake.requests.get(0).getCandidates(0).getTag());
    }

    @Test
    @DisplayName("The strategy among a datacenter's instances is the user's choice, for a job or for all; an unknown one is replaced")
    void delegate() {
        connect();
        properties.put("dc-sidecar.delegate", "ODEVITY");
        List<Integer> first = shard(3).get(A);
        properties.put("dc-sidecar.delegate.settle", "ROUND_ROBIN");
        for (String type : new String[] {"ODEVITY", "ROUND_ROBIN", "NOWHERE", "DC_SIDECAR"}) {
            properties.put("dc-sidecar.delegate.settle", type);
            Map<JobInstance, List<Integer>> sharding = shard(3);
            assertEquals(3, sharding.get(A).size() + sharding.get(B).size(), type);
            if (type.equals("ODEVITY")) {
                assertEquals(first, sharding.get(A));
            }
        }
    }

    @Test
    @DisplayName("Instances that join or leave while the shards are decided are taken into account")
    void instancesChange() {
        connect();
        live.add(0, Arrays.asList(A, C));
        live.add(0, Arrays.asList(B, C));
        assertEquals(Arrays.asList(0, 2), strategy.sharding(Arrays.asList(C), "settle", 3).get(A));
        live.clear();
        live.add(Collections.emptyList());
        assertEquals(3, strategy.sharding(Arrays.asList(A, C), "settle", 3).get(A).size());
        for (int look = 0; look < 20; look++) {
            live.add(0, Arrays.asList(look % 2 == 0 ? A : B, C));
        }
        strategy.sharding(Arrays.asList(C), "settle", 3);
        assertEquals(16, live.size());
    }

    @Test
    @DisplayName("Nobody in the serving datacenter: no shard is assigned, and the job's sharding is complete all the same")
    void nobody() {
        connect();
        fake.switchTo("dc9");
        eventually("nobody is left", () -> shard(2).values().stream().allMatch(List::isEmpty));
        assertEquals(3, shard(2).size());
    }

    @Test
    @DisplayName("Without the sidecar shards go to every instance with on-outage=open, to none with closed")
    void withoutSidecar() {
        fake.kill();
        properties.put("dc-sidecar.on-outage", "open");
        connect();
        assertEquals(sharding(A, Arrays.asList(0), B, Arrays.asList(1), C, Arrays.asList(2)), shard(3));
        strategy.close();
        properties.put("dc-sidecar.on-outage", "closed");
        assertTrue(shard(3).values().stream().allMatch(List::isEmpty));
    }

    @Test
    @DisplayName("A failure of the routing itself leaves the sharding to the other strategy")
    void failure() {
        connect();
        JobInstance broken = new JobInstance(null, null, null);
        live.set(0, Arrays.asList(broken));
        assertEquals(Collections.singletonMap(broken, Arrays.asList(0, 1)), strategy.sharding(Arrays.asList(broken), "settle", 2));
    }

    @Test
    @DisplayName("ElasticJob finds the strategy by its service loader")
    void service() {
        assertTrue(java.util.stream.StreamSupport.stream(ServiceLoader.load(JobShardingStrategy.class).spliterator(), false)
                .anyMatch(each -> each.getType().equals("DC_SIDECAR")));
    }

    private void connect() {
        properties.put("dc-sidecar.target", fake.target());
        properties.put("dc-sidecar.state-dir", "off");
        properties.put("dc-sidecar.timeout", "5s");
    }

    private Map<JobInstance, List<Integer>> shard(int count) {
        return strategy.sharding(Arrays.asList(A, B, C), "settle", count);
    }

    private static Map<JobInstance, List<Integer>> sharding(Object... instancesAndItems) {
        Map<JobInstance, List<Integer>> sharding = new HashMap<>();
        for (int index = 0; index < instancesAndItems.length; index += 2) {
            @SuppressWarnings("unchecked")
            List<Integer> items = (List<Integer>) instancesAndItems[index + 1];
            sharding.put((JobInstance) instancesAndItems[index], items);
        }
        return sharding;
    }

    private static JobInstance instance(int number, String labels) {
        return new JobInstance("10.0.0." + number + "@-@17", labels, "10.0.0." + number);
    }
}
