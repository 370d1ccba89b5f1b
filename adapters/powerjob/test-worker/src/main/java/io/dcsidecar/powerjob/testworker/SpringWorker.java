package io.dcsidecar.powerjob.testworker;

import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;

/** A worker under Spring Boot, with PowerJob's starter and the adapter on the class path and no adapter code. */
@EnableAutoConfiguration
public class SpringWorker {
    public static void main(String[] arguments) throws InterruptedException {
        new SpringApplicationBuilder(SpringWorker.class).web(WebApplicationType.NONE).run(arguments);
        Thread.currentThread().join();
    }
}
