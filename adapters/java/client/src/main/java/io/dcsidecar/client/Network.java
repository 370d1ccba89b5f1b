package io.dcsidecar.client;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Optional;
import java.util.regex.Pattern;

/** A network of a datacenter, such as 10.1.0.0/16. */
final class Network {
    private static final Pattern NUMERIC = Pattern.compile("[0-9.]+|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*");

    final int prefix;
    final String datacenter;
    private final byte[] base;

    private Network(byte[] base, int prefix, String datacenter) {
        this.base = base;
        this.prefix = prefix;
        this.datacenter = datacenter;
    }

    /** Returns the network, or nothing if the text is none. */
    static Optional<Network> parse(String cidr, String datacenter) {
        int slash = cidr.indexOf('/');
        byte[] base = numeric(slash < 0 ? cidr : cidr.substring(0, slash));
        if (base == null) {
            return Optional.empty();
        }
        try {
            int prefix = slash < 0 ? base.length * 8 : Integer.parseInt(cidr.substring(slash + 1));
            return prefix < 0 || prefix > base.length * 8 ? Optional.empty() : Optional.of(new Network(base, prefix, datacenter));
        } catch (NumberFormatException malformed) {
            return Optional.empty();
        }
    }

    /** Returns the IP address in {@code host:port} or {@code [host]:port}; null for a host name, which is not resolved. */
    static byte[] addressOf(String address) {
        if (address == null) {
            return null;
        }
        String host = address;
        if (address.startsWith("[")) {
            host = address.substring(1).split("]", 2)[0];
        } else if (address.indexOf(':') >= 0 && address.indexOf(':') == address.lastIndexOf(':')) {
            host = address.substring(0, address.indexOf(':'));
        }
        return numeric(host.split("%", 2)[0]);
    }

    boolean contains(byte[] address) {
        if (address.length != base.length) {
            return false;
        }
        int whole = prefix / 8;
        for (int index = 0; index < whole; index++) {
            if (address[index] != base[index]) {
                return false;
            }
        }
        int rest = prefix % 8;
        return rest == 0 || ((address[whole] ^ base[whole]) & 0xff) >> 8 - rest == 0;
    }

    private static byte[] numeric(String host) {
        if (!NUMERIC.matcher(host).matches()) {
            return null;
        }
        try {
            return InetAddress.getByName(host).getAddress();
        } catch (UnknownHostException malformed) {
            return null;
        }
    }
}
