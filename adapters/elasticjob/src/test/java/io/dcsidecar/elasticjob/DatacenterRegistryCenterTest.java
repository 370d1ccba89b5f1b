package io.dcsidecar.elasticjob;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.reflect.Proxy;
import java.util.HashMap;
import java.util.Map;
import org.apache.shardingsphere.elasticjob.infra.handler.sharding.JobInstance;
import org.apache.shardingsphere.elasticjob.infra.yaml.YamlEngine;
import org.apache.shardingsphere.elasticjob.reg.base.CoordinatorRegistryCenter;
import org.apache.shardingsphere.elasticjob.reg.exception.RegException;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class DatacenterRegistryCenterTest {
    private final Map<String, String> written = new HashMap<>();
    private final RegException failure = new RegException(new IllegalStateException("lost"));
    private final CoordinatorRegistryCenter center = (CoordinatorRegistryCenter) Proxy.newProxyInstance(getClass().getClassLoader(),
            new Class<?>[] {CoordinatorRegistryCenter.class}, (proxy, method, arguments) -> {
                if (method.getName().equals("close")) {
                    throw failure;
                }
                if (method.getName().equals("get")) {
                    return written.get(arguments[0]);
                }
                written.put((String) arguments[0], (String) arguments[1]);
                return null;
            });

    @Test
    @DisplayName("An instance registers with its datacenter; its own labels are kept, and everything else is passed on")
    void labels() {
        CoordinatorRegistryCenter labelled = DatacenterRegistryCenter.of(center, () -> "dc1");
        assertEquals("{\"datacenter\":\"dc1\"}", register(labelled, null));
        assertEquals("{\"a\":1,\"datacenter\":\"dc1\"}", register(labelled, "{\"a\":1}"));
        assertEquals("gpu,dc1", register(labelled, "gpu"));
        labelled.persistEphemeral("/settle/sharding/0/running", "");
        assertEquals("", labelled.get("/settle/sharding/0/running"));
        assertSame(failure, assertThrows(RegException.class, labelled::close));
    }

    @Test
    @DisplayName("Without a datacenter, or where it cannot be read, an instance registers as it would")
    void unknown() {
        assertEquals(null, register(DatacenterRegistryCenter.of(center, () -> ""), null));
        assertEquals(null, register(DatacenterRegistryCenter.of(center, () -> {
            throw new IllegalStateException("unreadable");
        }), null));
    }

    private String register(CoordinatorRegistryCenter registryCenter, String labels) {
        JobInstance instance = new JobInstance("10.0.0.1@-@17", labels, "10.0.0.1");
        registryCenter.persistEphemeral("/settle/instances/10.0.0.1@-@17", YamlEngine.marshal(instance));
        JobInstance registered = YamlEngine.unmarshal(written.get("/settle/instances/10.0.0.1@-@17"), JobInstance.class);
        assertEquals("10.0.0.1@-@17", registered.getJobInstanceId());
        assertEquals("10.0.0.1", registered.getServerIp());
        return registered.getLabels();
    }
}
