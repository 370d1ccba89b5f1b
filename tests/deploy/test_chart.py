"""What the chart renders of many values, held to Kubernetes' schemas and to the restricted Pod Security Standard."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from sidecar import config
from tests.attack.chart import size
from tests.deploy.helm import CHART, POWERJOB, ROOT, Manifest, Refused, helm, one, render, scheduler_chart
from tests.deploy.tools import PODSECURITY, tool
from tests.schemas import VERSIONS, hold_to_kubernetes

DOCUMENT = {"source": {"configMap": {"document": "default: {active: dc1}\n"}}}
NACOS = {"source": {"url": "nacos://nacos:8848/DEFAULT_GROUP/dc-routing?namespace=a&x=y"}}
HTTP = {"enabled": True, "tokenSecret": {"name": "page"}}

# Each a way to run it; what stands in several of them is merged by key.
VALUES: Mapping[str, Mapping[str, Any]] = {
    "the least": DOCUMENT,
    "nacos with credentials": {
        **NACOS,
        "credentials": [{"option": "nacos-password", "secretName": "nacos", "key": "pass.word"}],
        "options": {"nacos-username": "sidecar", "max-candidates": 1000000, "max-document-size": "2MiB"},
    },
    "zookeeper, TLS for clients too": {
        "source": {"url": "zookeeper://z1:2181,z2:2181/dc-sidecar/routing"},
        "tls": {"secretName": "certificate", "clientCA": True},
    },
    "apollo with an access key": {
        "source": {"url": "apollo+https://m1:8443,m2:8443/scheduler/default/application#routing"},
        "credentials": [{"option": "apollo-access-key", "secretName": "apollo", "key": "access-key"}],
        "options": {"apollo-data-center": "dc1", "apollo-label": "canary"},
    },
    "everything": {
        **DOCUMENT,
        "image": {"repository": "registry.example:5000/team/dc-sidecar", "digest": "sha256:" + "0" * 64},
        "imagePullSecrets": [{"name": "pull"}],
        "http": {"enabled": True, "tokenSecret": {"name": "page"}},
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "probes": {"type": "http", "startup": {"initialDelaySeconds": 1, "waitForDocument": True}},
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
        "dashboard": {"enabled": True},
        "replicas": 3,
        "podAnnotations": {"a": "1"},
        "podLabels": {"b": "true"},
        "nodeSelector": {"zone": "1"},
        "tolerations": [{"key": "k", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}
        ],
        "priorityClassName": "high",
        "extraArgs": ["--log-level=debug"],
        "extraEnv": [{"name": "TZ", "value": "Asia/Shanghai"}],
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca"}],
        "networkPolicy": {"egress": [{"ports": [{"port": 8848, "protocol": "TCP"}]}]},
        "service": {"type": "LoadBalancer", "annotations": {"internal": "true"}},
        "state": {"volume": {"emptyDir": None, "persistentVolumeClaim": {"claimName": "state"}}},
        "podDisruptionBudget": {"maxUnavailable": "50%"},
    },
    "nothing but the sidecar": {
        **DOCUMENT,
        "state": {"enabled": False},
        "probes": {"startup": {"enabled": False}, "readiness": {"enabled": False}, "liveness": {"enabled": False}},
        "networkPolicy": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
        "serviceAccount": {"create": False},
        "preStopSeconds": 0,
        "resources": None,
        "options": None,
    },
    "names that look like something else": {
        **DOCUMENT,
        "nameOverride": "1e3",
        "fullnameOverride": "007",
        "image": {"tag": "1.10"},
        "priorityClassName": "0",
        "podLabels": {"on": "off"},
        "serviceAccount": {"name": "123"},
    },
    "IPv6": {
        **DOCUMENT,
        "tcp": {"address": "::", "port": 6000},
        "http": {"enabled": True, "address": "::", "allowAnonymous": True},
    },
}


def check(objects: list[Manifest], version: str) -> None:
    """Hold objects to the strict schema of a version of Kubernetes; resources of operators have none there."""
    hold_to_kubernetes((each for each in objects if each["apiVersion"] != "monitoring.coreos.com/v1"), version)


def pods(objects: list[Manifest]) -> list[Manifest]:
    """Return metadata and spec of the pods that these objects are or make."""
    templates = [each["spec"]["template"] for each in objects if "template" in each.get("spec", {})]
    return [{"metadata": each.get("metadata", {}), "spec": each["spec"]} for each in templates] + [
        {"metadata": each["metadata"], "spec": each["spec"]} for each in objects if each["kind"] == "Pod"
    ]


def complaints(found: list[Manifest]) -> list[str]:
    """Return what the restricted Pod Security Standard, judged by Kubernetes' own code, has against each pod."""
    judge = [str(tool(PODSECURITY)), "restricted"]
    done = subprocess.run(judge, input=json.dumps(found), capture_output=True, text=True, timeout=60, check=True)
    judged: list[str] = json.loads(done.stdout)
    return judged


def test_lint_is_content(tmp_path: Path) -> None:
    """`helm lint --strict` finds nothing, and says it of a chart that it looked at."""
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(dict(DOCUMENT)), encoding="utf-8")
    said = helm("lint", "--strict", str(CHART), "--kube-version", "1.30.0", "--values", str(values))
    assert "1 chart(s) linted, 0 chart(s) failed" in said


@pytest.mark.parametrize("name", VALUES)
def test_standalone_fits_every_kubernetes_and_the_restricted_standard(name: str, tmp_path: Path) -> None:
    """Every object is valid from 1.27 to the newest with a schema, and no pod asks for more than `restricted` gives."""
    objects = render(VALUES[name], folder=tmp_path)
    for version in VERSIONS:
        check(objects, version)
    assert one(objects, "Deployment")
    assert set(complaints(pods(objects))) == {""}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_scheduler_s_pod_fits_its_kubernetes(version: str, tmp_path: Path) -> None:
    """Injected: a native sidecar from 1.29 on, a plain container before; valid and restricted either way."""
    values = {"dc-sidecar": {**NACOS, "http": HTTP}}
    objects = render(values, folder=tmp_path, chart=scheduler_chart(tmp_path), version=version)
    check(objects, version)
    assert complaints(pods(objects)) == [""]
    spec = one(objects, "Deployment")["spec"]["template"]["spec"]
    native = [each["name"] for each in spec.get("initContainers", ()) if each["restartPolicy"] == "Always"]
    plain = [each["name"] for each in spec["containers"]]
    expected = (["dc-sidecar"], ["scheduler"]) if version >= "1.29" else ([], ["scheduler", "dc-sidecar"])
    assert (native, plain) == expected


@pytest.mark.parametrize("version", VERSIONS)
def test_the_powerjob_chart(version: str, tmp_path: Path) -> None:
    """The server loads the adapter from /plugins, has a home, and reaches the sidecar in its pod; all is restricted."""
    values = {"dc-sidecar": NACOS | {"mode": "inject"}, "adapter": {"on-no-worker": "hold"}, "envSecret": "database"}
    chart = scheduler_chart(tmp_path, POWERJOB)
    objects = render(values, folder=tmp_path, chart=chart, version=version)
    check(objects, version)
    assert complaints(pods(objects)) == [""]
    (server,) = (
        each
        for each in one(objects, "StatefulSet")["spec"]["template"]["spec"]["containers"]
        if each["name"] == "powerjob-server"
    )
    environment = {each["name"]: each["value"] for each in server["env"]}
    assert environment["JVMOPTIONS"].split() == [
        "-Duser.home=/home/powerjob",
        "-Dloader.path=/plugins",
        "-cp",
        "/powerjob-server.jar",
        "org.springframework.boot.loader.PropertiesLauncher",
    ]
    assert environment["DC_SIDECAR_TARGET"].startswith("unix:/")
    assert (environment["DC_SIDECAR_ON_NO_WORKER"], environment["DC_SIDECAR_METRICS"]) == ("hold", "0.0.0.0:9465")
    assert {"/plugins", "/home/powerjob"} <= {mount["mountPath"] for mount in server["volumeMounts"]}
    assert {"name": "adapter-metrics", "containerPort": 9465} in server["ports"]


def test_the_judge_judges(tmp_path: Path) -> None:
    """A pod that asks for too much is refused by name: the check above can fail."""
    root = {"runAsUser": 0, "runAsNonRoot": False, "capabilities": {"add": ["NET_ADMIN"], "drop": None}}
    (said, *_) = complaints(pods(render({**DOCUMENT, "securityContext": root}, folder=tmp_path)))
    assert "NET_ADMIN" in said
    assert "runAsNonRoot" in said


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({}, "source: found nothing, expected source.url"),
        ({**NACOS, "source": {**NACOS["source"], "configMap": {"name": "x"}}}, "expected one of them"),
        ({"source": {"url": "http://nacos/x"}}, "source/url"),
        ({"source": {"url": "nacos://user:secret@nacos:8848/G/D"}}, "source/url"),
        ({**DOCUMENT, "replica": 3}, "replica"),
        ({**DOCUMENT, "replicas": "three"}, "replicas"),
        ({**DOCUMENT, "mode": "daemonset"}, "mode"),
        ({**DOCUMENT, "graceSeconds": 40}, "terminationGracePeriodSeconds: found 30, expected at least 47"),
        ({**DOCUMENT, "options": {"listen": "0.0.0.0:1"}}, "invalid propertyName 'listen'"),
        ({**DOCUMENT, "tcp": {"enabled": False}}, "tcp.enabled"),
        ({**DOCUMENT, "tls": {"clientCA": True}}, "tls.clientCA"),
        ({**DOCUMENT, "tls": {"secretName": "c"}, "probes": {"type": "grpc"}}, "expected exec"),
        ({**DOCUMENT, "probes": {"type": "http"}}, "http.enabled"),
        ({**DOCUMENT, "serviceMonitor": {"enabled": True}}, "http.enabled"),
        ({**DOCUMENT, "http": {**HTTP, "port": 50051}}, "the same as tcp.port"),
        ({**DOCUMENT, "http": {"enabled": True}}, "http.tokenSecret.name: found none"),
        ({**DOCUMENT, "podMonitor": {"enabled": True}, "http": HTTP}, "use serviceMonitor"),
        ({**DOCUMENT, "mode": "inject", "podMonitor": {"enabled": True}}, "http.enabled"),
        ({**DOCUMENT, "prometheusRule": {"runbookUrl": "docs/operations.md"}}, "runbookUrl"),
        ({**DOCUMENT, "credentials": [{"option": "nacos-username", "secretName": "n", "key": "k"}]}, "credentials"),
        ({**DOCUMENT, "socket": {"directory": "run"}}, "socket/directory"),
        ({**DOCUMENT, "options": {"audit-size": "64MiB"}}, "state.volume.emptyDir.sizeLimit: found 67108864 bytes"),
        ({**DOCUMENT, "options": {"max-document-size": 3000000}}, "state.volume.emptyDir.sizeLimit"),
        ({**DOCUMENT, "state": {"volume": {"emptyDir": {"sizeLimit": "16Mi"}}}}, "state.volume.emptyDir.sizeLimit"),
        ({**DOCUMENT, "state": {"volume": {"emptyDir": {"sizeLimit": "1.5Gi"}}}}, 'found the size "1.5Gi"'),
    ],
)
def test_values_that_cannot_work_are_refused(values: Mapping[str, Any], complaint: str, tmp_path: Path) -> None:
    """Nothing is rendered; the message names the value."""
    with pytest.raises(Refused) as refused:
        render(values, folder=tmp_path)
    assert complaint in str(refused.value)


def test_values_reach_the_sidecar_as_they_are(tmp_path: Path) -> None:
    """No exponents in large numbers, commas in lists, brackets around IPv6, nothing for null, a document unchanged."""
    document = "# dc: \"x\"\n\n  default:  {active: 'dc1'}\t\r\n\u00e9{{ .Values }}\n"
    options = {"max-candidates": 10000000, "probe-hosts": ["a.example", 8080], "nacos-tls": True, "max-streams": None}
    values = {"source": {"configMap": {"document": document}}, "options": options, "tcp": {"address": "::"}}
    objects = render(values, folder=tmp_path)
    assert one(objects, "ConfigMap")["data"] == {"routing.yaml": document}
    (container,) = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    env = {each["name"]: each["value"] for each in container["env"]}
    assert env["DC_SIDECAR_MAX_CANDIDATES"] == "10000000"
    assert env["DC_SIDECAR_PROBE_HOSTS"] == "a.example,8080"
    assert env["DC_SIDECAR_NACOS_TLS"] == "true"
    assert "DC_SIDECAR_THREADS" not in env
    assert "--listen=[::]:50051" in container["args"]


@pytest.mark.parametrize(
    ("values", "limit"),
    [
        (DOCUMENT, "128Mi"),
        (NACOS, "192Mi"),
        ({**NACOS, "http": HTTP}, "224Mi"),
        ({**DOCUMENT, "applications": 1000}, "80Mi"),
        ({**DOCUMENT, "applications": 25_000}, "224Mi"),
    ],
)
def test_the_limit_follows_from_what_is_held(values: Mapping[str, Any], limit: str, tmp_path: Path) -> None:
    """64 MiB and as much for 10,000 applications, 64 MiB for Nacos, 32 MiB for HTTP; one that is given is kept."""
    (container,) = one(render(values, folder=tmp_path), "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"memory": limit}
    given = {**values, "resources": {"limits": {"memory": "99Mi"}}}
    (container,) = one(render(given, folder=tmp_path), "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"memory": "99Mi"}


def test_the_test_pod_is_not_behind_the_service(tmp_path: Path) -> None:
    """The Service, the budget and the policy select the Deployment's pods and no other pod of the release."""
    objects = render(DOCUMENT, folder=tmp_path)
    selector = one(objects, "Service")["spec"]["selector"]
    labels = one(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert selector.items() <= labels.items()
    assert not selector.items() <= one(objects, "Pod")["metadata"]["labels"].items()
    assert one(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == selector
    assert one(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == selector


_MIB = 1024**2


@pytest.mark.parametrize(
    ("values", "audit"),
    [
        ({}, 32 * _MIB),
        ({"state": {"volume": {"emptyDir": {"sizeLimit": "1Gi"}}}}, 512 * _MIB),
        ({"state": {"volume": {"emptyDir": {"sizeLimit": "100Gi"}}}}, 2**31 - 1),
        ({"options": {"audit-size": "48MiB"}}, 48 * _MIB),
        ({"options": {"max-document-size": "2MiB"}}, 32 * _MIB),
        ({"state": {"volume": {"emptyDir": None, "persistentVolumeClaim": {"claimName": "c"}}}}, None),
        ({"state": {"enabled": False}}, None),
    ],
)
def test_the_audit_fits_its_volume(values: Mapping[str, Any], audit: int | None, tmp_path: Path) -> None:
    """Its bound follows from the volume's, with room for snapshot and failovers, and the sidecar can read it."""
    spec = one(render({**DOCUMENT, **values}, folder=tmp_path), "Deployment")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    env = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    found = config.load([*container["args"][1:]], {**env, "DC_SIDECAR_SOURCE": ""})
    assert ("DC_SIDECAR_AUDIT_SIZE" in env) is (audit is not None)
    if audit is not None:
        assert found.audit_size == audit
        (volume,) = (each for each in spec["volumes"] if each["name"] == "dc-sidecar-state")
        assert size(volume["emptyDir"]["sizeLimit"]) >= found.audit_size + 16 * found.max_document_size


def test_prometheus_verifies_the_certificate(tmp_path: Path) -> None:
    """By the secret's authority, for the service's name; another configuration is taken as it is."""
    values = {**DOCUMENT, "http": HTTP, "tls": {"secretName": "c"}, "serviceMonitor": {"enabled": True}}
    objects = render(values, folder=tmp_path)
    (endpoint,) = one(objects, "ServiceMonitor")["spec"]["endpoints"]
    name = one(objects, "Service")["metadata"]["name"]
    assert endpoint["tlsConfig"]["serverName"].startswith(f"{name}.")
    assert endpoint["tlsConfig"]["ca"] == {"secret": {"name": "c", "key": "ca.crt"}}
    own = {"ca": {"configMap": {"name": "authority", "key": "ca"}}, "serverName": "sidecar"}
    values = {**values, "serviceMonitor": {"enabled": True, "tlsConfig": own}}
    (endpoint,) = one(render(values, folder=tmp_path), "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["tlsConfig"] == own


def test_alerts_and_dashboard_are_those_of_the_project(tmp_path: Path) -> None:
    """What deploy/prometheus and deploy/grafana hold arrives unchanged, with the templates that are in it."""
    values = {**DOCUMENT, "prometheusRule": {"enabled": True}, "dashboard": {"enabled": True}}
    objects = render(values, folder=tmp_path)
    alerts = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text(encoding="utf-8"))
    assert one(objects, "PrometheusRule")["spec"] == alerts
    (found,) = (each["data"] for each in objects if each["metadata"]["name"].endswith("-dashboard"))
    assert found == {"dc-sidecar.json": (ROOT / "deploy/grafana/dc-sidecar.json").read_text(encoding="utf-8")}


def test_the_runbook_is_where_the_values_say(tmp_path: Path) -> None:
    """`runbook_url` of each alert is an absolute URL under `prometheusRule.runbookUrl`, with the alert's anchor."""
    base = "https://git.example/dc-sidecar/docs/operations.md"
    values = {**DOCUMENT, "prometheusRule": {"enabled": True, "runbookUrl": base}}
    (group,) = one(render(values, folder=tmp_path), "PrometheusRule")["spec"]["groups"]
    for rule in group["rules"]:
        assert rule["annotations"]["runbook_url"] == f"{base}#{rule['alert'].lower()}"


def _admits(policy: Manifest, *, namespace: str, labels: Mapping[str, str], port: int) -> bool:
    """Judge a connection as Kubernetes does: some rule has both the port and the peer. Only matchLabels."""
    for rule in policy["spec"]["ingress"]:
        if port not in {each["port"] for each in rule["ports"]}:
            continue
        for peer in rule["from"]:
            here = namespace == "jobs" if "namespaceSelector" not in peer else peer["namespaceSelector"] == {}
            if here and peer["podSelector"].get("matchLabels", {}).items() <= labels.items():
                return True
    return False


@pytest.mark.parametrize(("monitored", "admitted"), [(True, True), (False, False)])
def test_the_policy_admits_the_prometheus_of_the_service_monitor(
    monitored: bool, admitted: bool, tmp_path: Path
) -> None:
    """Prometheus in its own namespace may scrape; it cannot call gRPC, and other pods there reach neither port."""
    values = {**DOCUMENT, "http": HTTP, "serviceMonitor": {"enabled": monitored}}
    policy = one(render(values, folder=tmp_path), "NetworkPolicy")
    prometheus = {"app.kubernetes.io/name": "prometheus", "operator.prometheus.io/name": "k8s"}
    assert _admits(policy, namespace="monitoring", labels=prometheus, port=8080) is admitted
    assert not _admits(policy, namespace="monitoring", labels=prometheus, port=50051)
    assert not _admits(policy, namespace="monitoring", labels={"app.kubernetes.io/name": "grafana"}, port=8080)
    assert _admits(policy, namespace="jobs", labels={"app": "scheduler"}, port=50051)


@pytest.mark.parametrize("version", ["1.28.0", "1.30.0"])
def test_a_pod_monitor_finds_the_injected_sidecar(version: str, tmp_path: Path) -> None:
    """It selects the pods of the scheduler's chart by a label they have, and the port of the sidecar's container."""
    values = {
        "envSecret": "database",
        "dc-sidecar": NACOS
        | {
            "mode": "inject",
            "http": {"enabled": True, "tokenSecret": {"name": "page"}},
            "tls": {"secretName": "certificate"},
            "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        },
    }
    chart = scheduler_chart(tmp_path, POWERJOB)
    objects = render(values, folder=tmp_path, chart=chart, version=version)
    monitor = one(objects, "PodMonitor")
    template = one(objects, "StatefulSet")["spec"]["template"]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    containers = [*template["spec"]["containers"], *template["spec"].get("initContainers", ())]
    assert endpoint["port"] in {port["name"] for each in containers for port in each.get("ports", ())}
    assert (endpoint["path"], endpoint["scheme"]) == ("/metrics", "https")
    assert endpoint["authorization"] == {"credentials": {"name": "page", "key": "token"}}


@pytest.mark.parametrize(("options", "environment"), [({}, "jobs"), ({"environment": "prod"}, "prod")])
def test_the_environment_is_the_namespace(options: Mapping[str, str], environment: str, tmp_path: Path) -> None:
    """Without an option the release's namespace distinguishes the documents of two releases; an option wins."""
    (container,) = one(render({**DOCUMENT, "options": options}, folder=tmp_path), "Deployment")["spec"]["template"][
        "spec"
    ]["containers"]
    env = {each["name"]: each["value"] for each in container["env"]}
    assert env["DC_SIDECAR_ENVIRONMENT"] == environment


def test_the_recipe_for_nacos_renders(tmp_path: Path) -> None:
    """The complete example of docs/recipes.md is valid, and each part arrives."""
    page = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(# values\.yaml\n.*?)^```$", page, re.MULTILINE | re.DOTALL)
    objects = render(yaml.safe_load(block), folder=tmp_path)
    check(objects, VERSIONS[-1])
    assert set(complaints(pods(objects))) == {""}
    (container,) = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    env = {each["name"]: each["value"] for each in container["env"]}
    assert env["DC_SIDECAR_NACOS_USERNAME"] == "sidecar"
    assert env["DC_SIDECAR_NACOS_PASSWORD_FILE"].startswith("/run/secrets/")
    policy = one(objects, "NetworkPolicy")["spec"]
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {53, 8848, 9848}
    rules = one(objects, "PrometheusRule")["spec"]["groups"][0]["rules"]
    assert all(rule["annotations"]["runbook_url"].startswith("https://docs.example/") for rule in rules)


def test_the_recipe_for_callers_and_signers_renders(tmp_path: Path) -> None:
    """The values of docs/kubernetes.md mount the files where the options look, and the sidecar takes the options."""
    page = (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^  ```yaml\n(  options:\n    policy: .*?)^  ```$", page, re.MULTILINE | re.DOTALL)
    objects = render({**DOCUMENT, **yaml.safe_load(block)}, folder=tmp_path)
    check(objects, VERSIONS[-1])
    assert set(complaints(pods(objects))) == {""}
    spec = one(objects, "Deployment")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert {"name": "trust", "secret": {"secretName": "dc-sidecar-trust"}} in spec["volumes"]
    mount = next(each for each in container["volumeMounts"] if each["name"] == "trust")
    assert (mount["mountPath"], mount["readOnly"]) == ("/etc/dc-sidecar-trust", True)
    env = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    settings = config.load(container["args"][1:], env)
    files = (settings.policy, settings.tokens, settings.allowed_signers)
    assert [str(file.parent) for file in files if file] == ["/etc/dc-sidecar-trust"] * 3
    assert settings.environment == "jobs"
    (rule,) = settings.signers_for
    assert (rule.pattern, rule.names) == ("payments-*", ("alice", "bob"))


def test_a_package_of_the_chart_is_whole(tmp_path: Path) -> None:
    """`helm package` takes the linked files along: what it makes renders as the folder does."""
    helm("package", str(CHART), "--destination", str(tmp_path))
    (package,) = tmp_path.glob("*.tgz")
    values = {**DOCUMENT, "prometheusRule": {"enabled": True}, "dashboard": {"enabled": True}}
    assert render(values, folder=tmp_path, chart=package) == render(values, folder=tmp_path)
