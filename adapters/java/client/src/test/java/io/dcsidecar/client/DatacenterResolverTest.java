package io.dcsidecar.client;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DatacenterResolverTest {
    private final Map<String, String> properties = new HashMap<>();
    private final DatacenterResolver datacenter = new DatacenterResolver(properties::get);
    @TempDir
    Path folder;

    @Test
    @DisplayName("The property wins over the file, and surrounding whitespace is trimmed")
    void property() throws IOException {
        file("dc2\n");
        assertEquals("dc2", datacenter.get());
        properties.put(DatacenterResolver.NAME, " dc1 ");
        assertEquals("dc1", datacenter.get());
    }

    @Test
    @DisplayName("Without property and file there is no datacenter")
    void nothing() {
        assertEquals("", datacenter.get());
        properties.put(DatacenterResolver.FILE, folder.resolve("missing").toString());
        assertEquals("", datacenter.get());
    }

    @Test
    @DisplayName("The file is read at every heartbeat; while it is missing or empty the last name stays")
    void file() throws IOException {
        Path file = file("dc1");
        assertEquals("dc1", datacenter.get());
        file("dc2");
        assertEquals("dc2", datacenter.get());
        file("");
        assertEquals("dc2", datacenter.get());
        Files.delete(file);
        assertEquals("dc2", datacenter.get());
    }

    @Test
    @DisplayName("An invalid datacenter name is not reported")
    void invalid() throws IOException {
        file("dc1");
        assertEquals("dc1", datacenter.get());
        file("{\"a\": \"b\"}");
        assertEquals("dc1", datacenter.get());
    }

    private Path file(String content) throws IOException {
        Path file = folder.resolve("datacenter");
        properties.put(DatacenterResolver.FILE, file.toString());
        return Files.write(file, content.getBytes(StandardCharsets.UTF_8));
    }
}
