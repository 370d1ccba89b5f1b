import com.ctrip.framework.apollo.core.dto.ApolloConfig;
import com.ctrip.framework.apollo.core.dto.ApolloConfigNotification;
import com.ctrip.framework.apollo.core.dto.ApolloNotificationMessages;
import com.ctrip.framework.apollo.core.signature.Signature;
import com.google.gson.Gson;
import com.google.gson.JsonObject;
import com.google.gson.reflect.TypeToken;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.logging.Level;
import java.util.logging.Logger;
import okhttp3.HttpUrl;
import okhttp3.mockwebserver.Dispatcher;
import okhttp3.mockwebserver.MockResponse;
import okhttp3.mockwebserver.MockWebServer;
import okhttp3.mockwebserver.RecordedRequest;

/**
 * Config, admin and open API service of Apollo in one process, as far as dc-sidecar uses them.
 *
 * <p>Made of what Apollo's own test server is made of (its web server, and the values and the signature of apollo-core,
 * which the real services use too). Its dispatcher is replaced: that one answers each poll at once and knows no releases.
 * Rules are those of apollo-configservice, -adminservice and -portal 2.4. Servers of one folder share a database.
 */
public final class ApolloServer extends Dispatcher {
  static final Gson GSON = new Gson();
  static final String TOKEN = "open-api-token";
  static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSS'+0000'");
  static final DateTimeFormatter KEY = DateTimeFormatter.ofPattern("yyyyMMddHHmmss");

  static final class Release {
    long id;
    String releaseKey, name, appId, clusterName, namespaceName, comment, configurations;
    boolean isAbandoned;
    String dataChangeCreatedBy, dataChangeLastModifiedBy, dataChangeCreatedTime, dataChangeLastModifiedTime;
  }

  static final class History {
    long id, releaseId, previousReleaseId;
    int operation;
    String appId, clusterName, namespaceName, branchName;
    String dataChangeCreatedBy, dataChangeLastModifiedBy, dataChangeCreatedTime, dataChangeLastModifiedTime;
  }

  static final class Item {
    String key, value, comment = "";
    int type;
    String dataChangeCreatedBy, dataChangeLastModifiedBy, dataChangeCreatedTime, dataChangeLastModifiedTime;
  }

  static final class Branch {
    String name;
    long releaseId;
    List<String> ips = new ArrayList<>(), labels = new ArrayList<>();
  }

  static final class Database {
    long releases, messages, histories;
    List<Release> release = new ArrayList<>();
    List<History> history = new ArrayList<>();
    Map<String, Map<String, Item>> items = new TreeMap<>();
    Map<String, Long> message = new TreeMap<>();
    Map<String, Branch> branches = new TreeMap<>();
    Map<String, String> accessKeys = new TreeMap<>(), locks = new TreeMap<>(), publics = new TreeMap<>();
    List<String> configServices = new ArrayList<>(), adminServices = new ArrayList<>();
    Set<String> users = new LinkedHashSet<>(Arrays.asList("apollo", "lin", "wang"));
    boolean lockSwitch, cache;
    String adminToken = "";
    int itemLimit = 20000, pollSeconds = 60;
  }

  static final class Refused extends Exception {
    final int status;

    Refused(int status, String message) {
      super(message);
      this.status = status;
    }
  }

  private final Path file, lockFile;
  private final String self;
  private Database db = new Database();
  private FileTime loaded;
  // What the scan of messages has seen. With `cache`, the releases that were read, with their message's number: as of a
  // caching service behind the same address that has not scanned yet, they stay until a client sends a newer number.
  private Map<String, Long> seen = new HashMap<>();
  private final Map<String, Release> cached = new HashMap<>();
  private final Map<String, Long> cachedAt = new HashMap<>();

  public static void main(String[] args) throws Exception {
    Logger.getLogger(MockWebServer.class.getName()).setLevel(Level.OFF);
    int port = Integer.parseInt(args[1]);
    long scanMs = Long.parseLong(args[2]);
    ApolloServer apollo = new ApolloServer(Path.of(args[0]), "http://127.0.0.1:" + port + "/");
    MockWebServer server = new MockWebServer();
    server.setDispatcher(apollo);
    server.start(InetAddress.getByName("127.0.0.1"), port);
    while (true) {
      apollo.scan();
      Thread.sleep(scanMs);
    }
  }

  ApolloServer(Path folder, String self) throws IOException {
    this.file = folder.resolve("database.json");
    this.lockFile = folder.resolve("database.lock");
    this.self = self;
    load();
    seen = new HashMap<>(db.message);
  }

  private void load() throws IOException {
    if (Files.exists(file)) {
      FileTime now = Files.getLastModifiedTime(file);
      if (!now.equals(loaded)) {
        db = GSON.fromJson(Files.readString(file), Database.class);
        loaded = now;
      }
    }
  }

  private void save() throws IOException {
    Path next = file.resolveSibling("database.next");
    Files.writeString(next, GSON.toJson(db));
    Files.move(next, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    loaded = Files.getLastModifiedTime(file);
  }

  private synchronized void scan() throws IOException {
    load();
    if (!seen.equals(db.message)) {
      seen = new HashMap<>(db.message);
      notifyAll();
    }
  }

  @Override
  public MockResponse dispatch(RecordedRequest request) {
    try {
      HttpUrl url = request.getRequestUrl();
      List<String> path = url.pathSegments();
      switch (path.get(0)) {
        case "services":
          return services(path.get(1));
        case "configs":
          checkSignature(request, path.get(1));
          return config(url, path.get(1), path.get(2), path.get(3));
        case "notifications":
          checkSignature(request, url.queryParameter("appId"));
          return poll(url);
        default:
          return locked(request, url, path);
      }
    } catch (Refused refused) {
      return error(refused.status, refused.getMessage());
    } catch (Exception defect) {
      defect.printStackTrace();
      return error(500, String.valueOf(defect));
    }
  }

  /** Serves the open API, the admin service and the tests, one request of all servers of this database at a time. */
  private synchronized MockResponse locked(RecordedRequest request, HttpUrl url, List<String> path)
      throws IOException, Refused {
    try (FileChannel channel = FileChannel.open(lockFile, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        FileLock lock = channel.lock()) {
      load();
      Object answer;
      if (path.get(0).equals("openapi")) {
        if (!TOKEN.equals(request.getHeader("Authorization"))) {
          return new MockResponse().setResponseCode(401);
        }
        answer = openApi(request, url, path.subList(2, path.size()));
      } else if (path.get(0).equals("test")) {
        answer = test(path.get(1), GSON.fromJson(request.getBody().readUtf8(), JsonObject.class));
      } else {
        if (!db.adminToken.isEmpty() && !db.adminToken.equals(request.getHeader("Authorization"))) {
          throw new Refused(401, "Unauthorized");
        }
        answer = admin(url, path);
      }
      if (!request.getMethod().equals("GET")) {
        save();
      }
      return answer == null ? new MockResponse() : json(answer);
    }
  }

  private static MockResponse json(Object content) {
    return new MockResponse()
        .setHeader("Content-Type", "application/json;charset=UTF-8")
        .setHeader("Date", DateTimeFormatter.RFC_1123_DATE_TIME.format(ZonedDateTime.now(ZoneOffset.UTC)))
        .setBody(GSON.toJson(content));
  }

  private static MockResponse error(int status, String message) {
    Map<String, Object> body = new LinkedHashMap<>();
    body.put("message", message);
    body.put("status", status);
    return json(body).setResponseCode(status);
  }

  // The meta service and the config service.

  private synchronized MockResponse services(String kind) throws IOException {
    load();
    List<String> known = kind.equals("config") ? db.configServices : db.adminServices;
    List<Map<String, String>> found = new ArrayList<>();
    for (String url : known.isEmpty() ? List.of(self) : known) {
      found.add(Map.of("appName", "apollo-" + kind + "service", "instanceId", url, "homepageUrl", url));
    }
    return json(found);
  }

  private synchronized void checkSignature(RecordedRequest request, String app) throws IOException, Refused {
    load();
    String secret = db.accessKeys.get(app);
    if (secret == null) {
      return;
    }
    String timestamp = request.getHeader(Signature.HTTP_HEADER_TIMESTAMP);
    long skew = timestamp == null ? Long.MAX_VALUE : Math.abs(System.currentTimeMillis() - Long.parseLong(timestamp));
    if (skew >= 60_000) {
      throw new Refused(401, "RequestTimeTooSkewed");
    }
    String authorization = request.getHeader("Authorization");
    String signed = Signature.signature(timestamp, request.getPath(), secret);
    if (authorization == null || !authorization.endsWith(":" + signed)) {
      throw new Refused(401, "Unauthorized");
    }
  }

  private static List<String> clusters(String cluster, String dataCenter) {
    Set<String> found = new LinkedHashSet<>();
    found.add(cluster);
    if (dataCenter != null && !dataCenter.isEmpty()) {
      found.add(dataCenter);
    }
    found.remove("default");
    found.add("default");
    return new ArrayList<>(found);
  }

  private static String key(String app, String cluster, String namespace) {
    return app + "+" + cluster + "+" + namespace;
  }

  private Release latest(String app, String cluster, String namespace) {
    return db.release.stream()
        .filter(one -> !one.isAbandoned && one.appId.equals(app) && one.clusterName.equals(cluster)
            && one.namespaceName.equalsIgnoreCase(namespace))
        .reduce((before, after) -> after)
        .orElse(null);
  }

  private Release byId(long id) {
    return db.release.stream().filter(one -> one.id == id).findFirst().orElse(null);
  }

  private Release find(String client, String app, HttpUrl url, String cluster, String namespace) {
    String ip = Objects.requireNonNullElse(url.queryParameter("ip"), "127.0.0.1");
    String label = url.queryParameter("label");
    for (String one : clusters(cluster, url.queryParameter("dataCenter"))) {
      String name = key(app, one, namespace);
      Branch branch = db.branches.get(name);
      if (branch != null && branch.releaseId > 0
          && (branch.ips.contains(ip) || branch.ips.contains("*") || branch.labels.contains(label))) {
        return byId(branch.releaseId);
      }
      Release found = latestMaybeCached(name, app, one, namespace, url.queryParameter("messages"));
      if (found != null) {
        return found;
      }
    }
    return null;
  }

  private Release latestMaybeCached(String name, String app, String cluster, String namespace, String messages) {
    if (!db.cache) {
      cached.clear();
      return latest(app, cluster, namespace);
    }
    ApolloNotificationMessages sent =
        messages == null ? null : GSON.fromJson(messages, ApolloNotificationMessages.class);
    long wanted = sent != null && sent.has(name) ? sent.get(name) : 0;
    if (!cached.containsKey(name) || wanted > cachedAt.getOrDefault(name, 0L)) {
      cached.put(name, latest(app, cluster, namespace));
      cachedAt.put(name, Math.max(wanted, seen.getOrDefault(name, 0L)));
    }
    return cached.get(name);
  }

  private synchronized MockResponse config(HttpUrl url, String app, String cluster, String namespace)
      throws IOException, Refused {
    load();
    List<Release> found = new ArrayList<>();
    Release own = find(app, app, url, cluster, namespace);
    if (own != null) {
      found.add(own);
    }
    String owner = db.publics.get(namespace);
    if (owner != null && !owner.equals(app)) {
      Release shared = find(app, owner, url, cluster, namespace);
      if (shared != null) {
        found.add(shared);
      }
    }
    if (found.isEmpty()) {
      throw new Refused(404, "Could not load configurations");
    }
    List<String> keys = new ArrayList<>();
    Map<String, String> values = new TreeMap<>();
    Collections.reverse(found);
    for (Release one : found) {
      keys.add(0, one.releaseKey);
      values.putAll(configurations(one));
    }
    String releaseKey = String.join("+", keys);
    if (releaseKey.equals(url.queryParameter("releaseKey"))) {
      return new MockResponse().setResponseCode(304);
    }
    ApolloConfig config = new ApolloConfig(app, own == null ? cluster : own.clusterName, namespace, releaseKey);
    config.setConfigurations(values);
    return json(config);
  }

  private static Map<String, String> configurations(Release release) {
    return GSON.fromJson(release.configurations, new TypeToken<TreeMap<String, String>>() {}.getType());
  }

  private synchronized MockResponse poll(HttpUrl url) throws IOException, InterruptedException, Refused {
    load();
    List<ApolloConfigNotification> asked = GSON.fromJson(
        url.queryParameter("notifications"), new TypeToken<List<ApolloConfigNotification>>() {}.getType());
    if (asked == null || asked.isEmpty()) {
      throw new Refused(400, "Invalid format of notifications");
    }
    long until = System.currentTimeMillis() + db.pollSeconds * 1000L;
    while (true) {
      List<ApolloConfigNotification> found = new ArrayList<>();
      for (ApolloConfigNotification one : asked) {
        long newest = -1;
        ApolloNotificationMessages messages = new ApolloNotificationMessages();
        for (String app : apps(url.queryParameter("appId"), one.getNamespaceName())) {
          for (String cluster : clusters(url.queryParameter("cluster"), url.queryParameter("dataCenter"))) {
            String name = key(app, cluster, one.getNamespaceName());
            Long number = seen.get(name);
            if (number != null) {
              newest = Math.max(newest, number);
              messages.put(name, number);
            }
          }
        }
        if (newest > one.getNotificationId()) {
          ApolloConfigNotification answer = new ApolloConfigNotification(one.getNamespaceName(), newest);
          messages.getDetails().forEach(answer::addMessage);
          found.add(answer);
        }
      }
      long left = until - System.currentTimeMillis();
      if (!found.isEmpty()) {
        return json(found);
      }
      if (left <= 0) {
        return new MockResponse().setResponseCode(304);
      }
      wait(left);
    }
  }

  private Set<String> apps(String app, String namespace) {
    Set<String> found = new LinkedHashSet<>(List.of(app));
    if (db.publics.containsKey(namespace)) {
      found.add(db.publics.get(namespace));
    }
    return found;
  }

  // The open API, and what the admin service behind it does.

  private static String now() {
    return ZonedDateTime.now(ZoneOffset.UTC).format(TIME);
  }

  private void checkUser(String user) throws Refused {
    if (user == null || user.isEmpty()) {
      throw new Refused(400, "operator can not be empty");
    }
    if (!db.users.contains(user)) {
      throw new Refused(400, "user not exists for userName:" + user);
    }
  }

  private Object openApi(RecordedRequest request, HttpUrl url, List<String> path) throws Refused {
    String method = request.getMethod();
    if (path.get(0).equals("apps")) {
      Set<String> clusters = new LinkedHashSet<>(List.of("default"));
      db.items.keySet().stream().map(key -> key.split("\\+")).filter(key -> key[0].equals(path.get(1)))
          .forEach(key -> clusters.add(key[1]));
      return List.of(Map.of("env", "LOCAL", "clusters", clusters));
    }
    if (!path.get(1).equals("LOCAL")) {
      throw new Refused(500, path.get(1) + " not exist");
    }
    if (path.get(2).equals("releases")) {
      rollback(byId(Long.parseLong(path.get(3))), url.queryParameter("operator"));
      return null;
    }
    String app = path.get(3), cluster = path.get(5), namespace = path.get(7), name = key(app, cluster, namespace);
    List<String> rest = path.subList(8, path.size());
    JsonObject body = method.equals("GET") || method.equals("DELETE")
        ? null : GSON.fromJson(request.getBody().readUtf8(), JsonObject.class);
    if (rest.isEmpty()) {
      List<Item> items = new ArrayList<>(namespaceItems(name).values());
      return Map.of("appId", app, "clusterName", cluster, "namespaceName", namespace, "items", items);
    }
    switch (rest.get(0)) {
      case "lock":
        String owner = db.locks.get(name);
        Map<String, Object> lock = new LinkedHashMap<>(Map.of("namespaceName", namespace, "isLocked", owner != null));
        if (owner != null) {
          lock.put("lockedBy", owner);
        }
        return lock;
      case "items":
        return item(method, name, rest.get(1), body, url);
      case "branches":
        Branch branch = db.branches.get(name);
        if (branch == null) {
          return null;
        }
        return rest.size() == 1
            ? Map.of("appId", app, "clusterName", branch.name, "namespaceName", namespace, "items", List.of())
            : Map.of("branchName", branch.name); // Without the items of the rules, as the portal 2.4 answers.
      default:
        if (method.equals("GET")) {
          Branch gray = db.branches.values().stream().filter(one -> one.name.equals(cluster)).findFirst().orElse(null);
          Release found = gray != null ? byId(gray.releaseId) : latest(app, cluster, namespace);
          return found == null ? null : open(found);
        }
        boolean emergency = body.has("isEmergencyPublish") && body.get("isEmergencyPublish").getAsBoolean();
        return open(release(app, cluster, namespace, text(body, "releaseTitle"), text(body, "releaseComment"),
            text(body, "releasedBy"), emergency));
    }
  }

  private static String text(JsonObject body, String name) {
    return body.has(name) && !body.get(name).isJsonNull() ? body.get(name).getAsString() : "";
  }

  private Map<String, Item> namespaceItems(String name) throws Refused {
    Map<String, Item> items = db.items.get(name);
    if (items == null) {
      throw new Refused(404, "namespace not found for " + name);
    }
    return items;
  }

  private Object item(String method, String name, String key, JsonObject body, HttpUrl url) throws Refused {
    Map<String, Item> items = namespaceItems(name);
    Item item = items.get(key);
    if (method.equals("GET")) {
      if (item == null) {
        throw new Refused(404, "item not found for itemKey:" + key);
      }
      return item;
    }
    String user = method.equals("DELETE") ? url.queryParameter("operator") : text(body, "dataChangeLastModifiedBy");
    checkUser(user);
    if (item == null && !(method.equals("PUT") && "true".equals(url.queryParameter("createIfNotExists")))) {
      throw new Refused(404, "item not found for itemKey:" + key);
    }
    if (method.equals("PUT") && text(body, "value").length() > db.itemLimit) {
      throw new Refused(400, "value too long. length limit:" + db.itemLimit);
    }
    if (db.lockSwitch && !db.locks.computeIfAbsent(name, any -> user).equals(user)) {
      throw new Refused(400, "namespace is modified by " + db.locks.get(name));
    }
    if (method.equals("DELETE")) {
      items.remove(key);
    } else {
      if (item == null) {
        item = new Item();
        item.key = key;
        item.dataChangeCreatedBy = user;
        item.dataChangeCreatedTime = now();
        items.put(key, item);
      }
      item.value = text(body, "value");
      item.dataChangeLastModifiedBy = user;
      item.dataChangeLastModifiedTime = now();
    }
    unlockIfUnmodified(name, items);
    return null;
  }

  private void unlockIfUnmodified(String name, Map<String, Item> items) {
    String[] parts = name.split("\\+");
    Release latest = latest(parts[0], parts[1], parts[2]);
    Map<String, String> released = latest == null ? Map.of() : configurations(latest);
    if (values(items).equals(released)) {
      db.locks.remove(name);
    }
  }

  private static Map<String, String> values(Map<String, Item> items) {
    Map<String, String> values = new TreeMap<>();
    items.forEach((key, item) -> values.put(key, item.value));
    return values;
  }

  private Release release(
      String app, String cluster, String namespace, String title, String comment, String user, boolean emergency)
      throws Refused {
    if (title.isEmpty()) {
      throw new Refused(400, "Params(releaseTitle and releasedBy) can not be empty");
    }
    checkUser(user);
    if (title.length() > 64 || comment.length() > 256) {
      throw new Refused(500, "could not execute statement");
    }
    String name = key(app, cluster, namespace);
    Map<String, Item> items = namespaceItems(name);
    if (!emergency && user.equals(db.locks.get(name))) {
      throw new Refused(400, "Config can not be published by yourself.");
    }
    Release before = latest(app, cluster, namespace);
    Release made = add(app, cluster, namespace, title, comment, user, values(items));
    db.locks.remove(name);
    remember(made, before, 0, user);
    announce(name);
    return made;
  }

  private Release add(
      String app, String cluster, String namespace, String title, String comment, String user,
      Map<String, String> values) {
    Release made = new Release();
    made.id = ++db.releases;
    made.releaseKey = ZonedDateTime.now(ZoneOffset.UTC).format(KEY) + String.format("-5307fdd6%08x", made.id);
    made.name = title;
    made.comment = comment;
    made.appId = app;
    made.clusterName = cluster;
    made.namespaceName = namespace;
    made.configurations = GSON.toJson(values);
    made.dataChangeCreatedBy = made.dataChangeLastModifiedBy = user;
    made.dataChangeCreatedTime = made.dataChangeLastModifiedTime = now();
    db.release.add(made);
    return made;
  }

  private void remember(Release now, Release before, int operation, String user) {
    History row = new History();
    row.id = ++db.histories;
    row.appId = now.appId;
    row.clusterName = row.branchName = now.clusterName;
    row.namespaceName = now.namespaceName;
    row.releaseId = now.id;
    row.previousReleaseId = before == null ? 0 : before.id;
    row.operation = operation;
    row.dataChangeCreatedBy = row.dataChangeLastModifiedBy = user;
    row.dataChangeCreatedTime = row.dataChangeLastModifiedTime = now();
    db.history.add(row);
  }

  private void announce(String name) {
    db.message.put(name, ++db.messages);
  }

  private void rollback(Release release, String user) throws Refused {
    checkUser(user);
    if (release == null) {
      throw new Refused(400, "release not found");
    }
    if (release.isAbandoned) {
      throw new Refused(400, "release is not active");
    }
    release.isAbandoned = true;
    Release before = latest(release.appId, release.clusterName, release.namespaceName);
    if (before == null) {
      release.isAbandoned = false;
      throw new Refused(400, "Can't rollback namespace because there are less than 2 active releases");
    }
    remember(before, release, 1, user);
    announce(key(release.appId, release.clusterName, release.namespaceName));
  }

  private static Map<String, Object> open(Release release) {
    Map<String, Object> open = new LinkedHashMap<>();
    open.put("id", release.id);
    open.put("appId", release.appId);
    open.put("clusterName", release.clusterName);
    open.put("namespaceName", release.namespaceName);
    open.put("name", release.name);
    open.put("configurations", configurations(release));
    open.put("comment", release.comment);
    open.put("dataChangeCreatedBy", release.dataChangeCreatedBy);
    open.put("dataChangeCreatedTime", release.dataChangeCreatedTime);
    return open;
  }

  private Object admin(HttpUrl url, List<String> path) throws Refused {
    if (path.get(0).equals("releases")) {
      List<String> ids = Arrays.asList(url.queryParameter("releaseIds").split(","));
      List<Release> found = new ArrayList<>();
      db.release.stream().filter(one -> ids.contains(String.valueOf(one.id))).forEach(found::add);
      return found;
    }
    if (path.get(path.size() - 1).equals("rules")) {
      Branch branch = db.branches.get(key(path.get(1), path.get(3), path.get(5)));
      return Map.of("branchName", branch.name, "ruleItems", List.of(
          Map.of("clientAppId", path.get(1), "clientIpList", branch.ips, "clientLabelList", branch.labels)));
    }
    if (!path.get(path.size() - 1).equals("histories")) {
      throw new Refused(404, "Not Found");
    }
    List<History> rows = new ArrayList<>();
    db.history.stream()
        .filter(one -> one.appId.equals(path.get(1)) && one.clusterName.equals(path.get(3))
            && one.namespaceName.equals(path.get(5)))
        .forEach(rows::add);
    Collections.reverse(rows);
    int size = Integer.parseInt(url.queryParameter("size"));
    return Map.of("total", rows.size(), "content", rows.subList(0, Math.min(size, rows.size())));
  }

  // What the tests do to the server.

  private Object test(String what, JsonObject body) throws Refused {
    String name = text(body, "name");
    switch (what) {
      case "namespace":
        db.items.putIfAbsent(name, new TreeMap<>());
        return null;
      case "delete":
        db.items.remove(name);
        db.release.removeIf(one -> key(one.appId, one.clusterName, one.namespaceName).equals(name));
        announce(name);
        return null;
      case "gray":
        String[] parts = name.split("\\+");
        Branch branch = db.branches.computeIfAbsent(name, any -> new Branch());
        branch.name = String.format("20261127120000-gray%04d", db.releases);
        branch.ips = List.of(text(body, "ips").split(","));
        branch.labels = List.of(text(body, "labels").split(","));
        Map<String, String> values = new TreeMap<>(Map.of(text(body, "key"), text(body, "text")));
        branch.releaseId = add(parts[0], branch.name, parts[2], "gray", "", "lin", values).id;
        announce(name);
        return null;
      case "endGray":
        db.branches.remove(name);
        announce(name);
        return null;
      case "settings":
        JsonObject now = GSON.toJsonTree(db).getAsJsonObject();
        body.entrySet().forEach(one -> now.add(one.getKey(), one.getValue()));
        db = GSON.fromJson(now, Database.class);
        return null;
      default:
        throw new Refused(404, what);
    }
  }
}
