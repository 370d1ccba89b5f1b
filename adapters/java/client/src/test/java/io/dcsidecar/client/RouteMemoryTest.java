package io.dcsidecar.client;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import io.dcsidecar.v1.RouteUpdate;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RouteMemoryTest {
    private static final RouteUpdate UPDATE = RouteUpdate.newBuilder().setRevision("abc").setGeneration(3).setDetailed(true)
            .setDefaultRoute(FakeSidecar.route("", "dc1")).build();

    @TempDir
    Path folder;

    @Test
    @DisplayName("Routes are written at the next check and read by the next process, for this user only")
    void overRestart() throws IOException {
        RouteFile file = file("unix:/a");
        RouteMemory memory = new RouteMemory(file);
        memory.load();
        assertNull(memory.routes());
        memory.onRoutes(UPDATE, null);
        memory.onCheck(true);
        RouteMemory next = new RouteMemory(file("unix:/a"));
        next.load();
        assertEquals("abc", next.routes().revision);
        assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file.path())));
        assertEquals(1, Files.list(file.path().getParent()).count());
    }

    @Test
    @DisplayName("Servers that ask different sidecars do not share a file")
    void oneFilePerTarget() {
        file("unix:/a").write(UPDATE.toByteArray());
        assertNull(file("unix:/b").read());
    }

    @Test
    @DisplayName("A file that is torn, changed or too large is ignored, and replaced by the next routes")
    void damaged() throws IOException {
        RouteFile file = file("unix:/a");
        file.write(UPDATE.toByteArray());
        byte[] whole = Files.readAllBytes(file.path());
        for (int length : new int[] {0, 5, 30, whole.length - 1}) {
            Files.write(file.path(), java.util.Arrays.copyOf(whole, length));
            assertNull(file.read());
        }
        whole[whole.length - 1] ^= 1;
        Files.write(file.path(), whole);
        assertNull(file.read());
        file.write(new byte[RouteFile.MAX_BYTES + 1]);
        assertNull(file.read());
        file.write(UPDATE.toByteArray());
        assertArrayEquals(UPDATE.toByteArray(), file.read());
    }

    @Test
    @DisplayName("A directory that cannot be written costs a warning and nothing else")
    void notWritable() throws IOException {
        Path blocked = folder.resolve("file");
        Files.createFile(blocked);
        RouteMemory memory = new RouteMemory(new RouteFile(blocked.resolve("below"), "unix:/a"));
        memory.load();
        memory.onRoutes(UPDATE, null);
        memory.onCheck(true);
        assertEquals("abc", memory.routes().revision);
    }

    private RouteFile file(String target) {
        return new RouteFile(folder.resolve("state"), target);
    }
}
