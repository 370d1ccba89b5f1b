package io.dcsidecar.elasticjob;

import io.dcsidecar.client.DatacenterResolver;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.function.Supplier;
import org.apache.shardingsphere.elasticjob.infra.handler.sharding.JobInstance;
import org.apache.shardingsphere.elasticjob.infra.yaml.YamlEngine;
import org.apache.shardingsphere.elasticjob.reg.base.CoordinatorRegistryCenter;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes the job instances of this process report their datacenter, in the labels of their registration.
 *
 * <pre>{@code CoordinatorRegistryCenter registryCenter = DatacenterRegistryCenter.of(new ZookeeperRegistryCenter(configuration));}</pre>
 *
 * <p>The name comes from the system property {@code dc-sidecar.datacenter}, the environment variable
 * {@code DC_SIDECAR_DATACENTER}, or the file named by {@code dc-sidecar.datacenter-file} or {@code DC_SIDECAR_DATACENTER_FILE}.
 */
public final class DatacenterRegistryCenter implements InvocationHandler {
    private static final Logger LOG = LoggerFactory.getLogger(DatacenterRegistryCenter.class);

    private final CoordinatorRegistryCenter registryCenter;
    private final Supplier<String> datacenter;

    private DatacenterRegistryCenter(CoordinatorRegistryCenter registryCenter, Supplier<String> datacenter) {
        this.registryCenter = registryCenter;
        this.datacenter = datacenter;
    }

    /** Returns {@code registryCenter}, whose instances report the datacenter of this process. */
    public static CoordinatorRegistryCenter of(CoordinatorRegistryCenter registryCenter) {
        return of(registryCenter, DatacenterResolver.ofThisProcess());
    }

    static CoordinatorRegistryCenter of(CoordinatorRegistryCenter registryCenter, Supplier<String> datacenter) {
        return (CoordinatorRegistryCenter) Proxy.newProxyInstance(CoordinatorRegistryCenter.class.getClassLoader(),
                new Class<?>[] {CoordinatorRegistryCenter.class}, new DatacenterRegistryCenter(registryCenter, datacenter));
    }

    @Override
    public Object invoke(Object proxy, Method method, Object[] arguments) throws Throwable {
        if (method.getName().equals("persistEphemeral") && InstanceLabels.isInstance((String) arguments[0])) {
            arguments[1] = labelled((String) arguments[1]);
        }
        try {
            return method.invoke(registryCenter, arguments);
        } catch (InvocationTargetException failed) {
            throw failed.getCause();
        }
    }

    /** Never fails: an instance that is not registered runs nothing. */
    private String labelled(String registration) {
        try {
            String name = datacenter.get();
            if (name.isEmpty()) {
                return registration;
            }
            JobInstance instance = YamlEngine.unmarshal(registration, JobInstance.class);
            instance.setLabels(InstanceLabels.with(name, instance.getLabels()));
            return YamlEngine.marshal(instance);
        } catch (RuntimeException | LinkageError failed) {
            LOG.warn("This instance does not report its datacenter; the sidecar falls back to its address", failed);
            return registration;
        }
    }
}
