package io.dcsidecar.client;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The last routes on disk: a line with a format name, the SHA-256 of the rest, the rest.
 *
 * <p>Replaced atomically, readable by this user only, at most {@value #MAX_BYTES} bytes. Faults are logged once and never thrown.
 */
final class RouteFile {
    static final int MAX_BYTES = 16 << 20;
    private static final Logger LOG = LoggerFactory.getLogger(RouteFile.class);
    private static final byte[] HEADER = "dc-sidecar routes 1\n".getBytes(StandardCharsets.US_ASCII);
    private static final int DIGEST_BYTES = 32;

    private final Path path;
    private boolean warned;

    /** Keeps the routes of {@code target} in {@code folder}: processes that share the folder may call other sidecars. */
    RouteFile(Path folder, String target) {
        path = folder.resolve("routes-" + hex(sha256(target.getBytes(StandardCharsets.UTF_8))).substring(0, 12));
    }

    Path path() {
        return path;
    }

    /** Returns what was written last, or null if there is nothing, or not whole. */
    byte[] read() {
        try {
            if (Files.size(path) > MAX_BYTES + HEADER.length + DIGEST_BYTES) {
                LOG.warn("Saved routes ignored: {} is larger than {} bytes", path, MAX_BYTES);
                return null;
            }
            byte[] all = Files.readAllBytes(path);
            int start = HEADER.length + DIGEST_BYTES;
            if (all.length >= start && Arrays.equals(HEADER, Arrays.copyOf(all, HEADER.length))) {
                byte[] content = Arrays.copyOfRange(all, start, all.length);
                if (MessageDigest.isEqual(sha256(content), Arrays.copyOfRange(all, HEADER.length, start))) {
                    return content;
                }
            }
            LOG.warn("Saved routes ignored: {} is damaged; it is replaced when the sidecar answers", path);
        } catch (NoSuchFileException none) {
            LOG.debug("No routes saved at {}", path);
        } catch (IOException | RuntimeException unreadable) {
            LOG.warn("Saved routes ignored: {} cannot be read: {}", path, unreadable.toString());
        }
        return null;
    }

    /** Returns when the routes were saved, in Unix milliseconds. */
    long savedAtMillis() {
        try {
            return Files.getLastModifiedTime(path).toMillis();
        } catch (IOException gone) {
            return System.currentTimeMillis();
        }
    }

    void write(byte[] content) {
        if (content.length > MAX_BYTES) {
            warn("they take " + content.length + " bytes, expected at most " + MAX_BYTES);
            return;
        }
        Path fresh = null;
        try {
            Files.createDirectories(path.getParent());
            // Processes of a host may share the file.
            fresh = Files.createTempFile(path.getParent(), "." + path.getFileName() + "-", ".new", ownerOnly(path));
            try (FileChannel channel = FileChannel.open(fresh, StandardOpenOption.WRITE)) {
                for (byte[] part : new byte[][] {HEADER, sha256(content), content}) {
                    ByteBuffer buffer = ByteBuffer.wrap(part);
                    while (buffer.hasRemaining()) {
                        channel.write(buffer);
                    }
                }
                channel.force(true);
            }
            Files.move(fresh, path, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            warned = false;
        } catch (IOException | RuntimeException failed) {
            warn(failed.toString());
            delete(fresh);
        }
    }

    private static void delete(Path file) {
        try {
            if (file != null) {
                Files.deleteIfExists(file);
            }
        } catch (IOException | RuntimeException failed) {
            LOG.debug("Cannot delete {}: {}", file, failed.toString());
        }
    }

    private void warn(String reason) {
        if (!warned) {
            warned = true;
            LOG.warn("Routes not saved in {}: {}. After a restart of this process without the sidecar, any worker is allowed. Set "
                    + "dc-sidecar.state-dir to a writable directory, or to off.", path.getParent(), reason);
        }
    }

    private static FileAttribute<?>[] ownerOnly(Path path) {
        return path.getFileSystem().supportedFileAttributeViews().contains("posix")
                ? new FileAttribute<?>[] {PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"))}
                : new FileAttribute<?>[0];
    }

    private static byte[] sha256(byte[] content) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(content);
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    private static String hex(byte[] bytes) {
        StringBuilder text = new StringBuilder();
        for (byte each : bytes) {
            text.append(String.format("%02x", each));
        }
        return text.toString();
    }
}
