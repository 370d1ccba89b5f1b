package io.dcsidecar.elasticjob;

import java.util.regex.Pattern;

/** The labels of a job instance, which ElasticJob itself leaves empty: a JSON object that names the datacenter, or plain tags. */
final class InstanceLabels {
    private static final Pattern INSTANCE = Pattern.compile("/[^/]+/instances/[^/]+");

    private InstanceLabels() {}

    /** Returns whether a path of the registry center is that of an instance. */
    static boolean isInstance(String path) {
        return INSTANCE.matcher(path).matches();
    }

    /** Adds the datacenter to an application's own labels: as a member of a JSON object, else as one more tag. */
    static String with(String datacenter, String labels) {
        String present = labels == null ? "" : labels.trim();
        if (present.isEmpty() || present.startsWith("{") && present.endsWith("}")) {
            String members = present.isEmpty() ? "" : present.substring(1, present.length() - 1).trim();
            return "{" + members + (members.isEmpty() ? "" : ",") + "\"datacenter\":\"" + datacenter + "\"}";
        }
        return present + "," + datacenter;
    }

    /** Returns whether the labels are a JSON object. */
    static boolean isObject(String labels) {
        return labels != null && labels.trim().startsWith("{");
    }
}
