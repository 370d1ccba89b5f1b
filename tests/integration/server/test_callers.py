"""Who may call: certificates, tokens, the policy and its bounds, with both ways of handling calls."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest

from sidecar.client import RoutingClient
from sidecar.errors import ConfigError, PermissionRefused, Unauthenticated
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.server.server import Server
from sidecar.server.settings import ServerSettings
from sidecar.table import RoutingTable
from tests.certificates import Authority, Leaf
from tests.harness import Caller, Client, a_request, code_of, details_of
from tests.integration.server.conftest import Serve, Served
from tests.waiting import eventually

POLICY = """\
callers:
- {name: schedulers, match: ["uri:spiffe://example/ns/prod/*"]}
- {name: team, match: ["dns:*.team.example"], apps: [billing], dispatch: false,
   calls: [FilterWorkers, GetRoute, WatchRoutes]}
- {name: old, match: ["cn:legacy"], candidates: 3}
- {name: probe, match: ["token:probe"], calls: [GetStatus], rate: 2}
- {name: slow, match: ["token:slow"], streams: 1}
"""
TOKENS = {"probe": "probe-secret", "slow": "slow-secret"}
CODE = grpc.StatusCode


class Site:
    """A server with mutual TLS, tokens, a policy and a list of revoked certificates."""

    def __init__(self, serve: Serve, folder: Path, policy: str = POLICY) -> None:
        self.authority = Authority()
        self.policy, self.tokens, self.crl = folder / "policy.yaml", folder / "tokens", folder / "revoked.pem"
        self.policy.write_text(policy)
        self.write_tokens(TOKENS)
        self.crl.write_bytes(self.authority.revoke(self.authority.issue()))
        server = self.authority.issue(dns=["localhost"])
        files = {"tls_cert": server.pem, "tls_key": server.key, "tls_client_ca": self.authority.pem}
        for name, content in files.items():
            (folder / name).write_bytes(content)
        self.served: Served = serve(
            listen=("localhost:0", f"unix:{folder}/s"),
            policy=self.policy,
            tokens=self.tokens,
            tls_crl=self.crl,
            **{name: folder / name for name in files},
        )
        self.unix = f"unix:{folder}/s"

    def write_tokens(self, tokens: dict[str, str]) -> None:
        """Write the digests of tokens to their file."""
        lines = [f"{name} sha256:{hashlib.sha256(token.encode()).hexdigest()}" for name, token in tokens.items()]
        self.tokens.write_text("\n".join(["# ours", *lines, ""]))

    def client(self, leaf: Leaf) -> Client:
        """Return a client with a certificate."""
        return Client(self.served.address, credentials=self.authority.credentials(leaf))


@pytest.fixture
def site(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Return a site."""
    return Site(serve, tmp_path_factory.mktemp("s"))


def refused(call: Callable[[], object], code: grpc.StatusCode, said: str) -> str:
    """Check that a call is refused, and return its details."""
    with pytest.raises(grpc.RpcError) as error:
        call()
    assert (code_of(error.value), said in details_of(error.value)) == (code, True), details_of(error.value)
    return details_of(error.value)


def with_token(address: str, token: str, method: str = "GetStatus", request: bytes = b"") -> bytes:
    """Call with a bearer token."""
    with grpc.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(f"/dcsidecar.v1.RoutingService/{method}", None, None)
        return bytes(call(request, metadata=(("authorization", f"Bearer {token}"),), timeout=5))


def test_a_certificate_names_its_caller(site: Site) -> None:
    """By its URI, its DNS name, or, where it has neither, its common name: the first rule that matches is its."""
    issue = site.authority.issue
    with site.client(issue(uris=["spiffe://example/ns/prod/sa/powerjob"])) as client:
        assert client.filter().datacenter == "dc2"
        assert client.route("reports").app == "reports"
    with site.client(issue(uris=["spiffe://example/ns/test/sa/powerjob"])) as client:
        refused(client.filter, CODE.PERMISSION_DENIED, "uri:spiffe://example/ns/test/sa/powerjob: no rule")
    with site.client(issue(name="legacy")) as client:
        assert client.filter(a_request(candidates={"dc2": 3})).datacenter == "dc2"
        refused(client.filter, CODE.RESOURCE_EXHAUSTED, "cn:legacy sent 6 candidates, and its rule old allows 3")
    with site.client(issue(name="legacy", dns=["other.example"])) as client:
        refused(client.filter, CODE.PERMISSION_DENIED, "dns:other.example")


def test_a_rule_limits_calls_and_applications(site: Site) -> None:
    """The refusal names caller and rule; aliases count as names; remembered answers are checked too."""
    with site.client(site.authority.issue(dns=["a.team.example"])) as client:
        for _ in range(4):
            assert client.filter(a_request("billing")).datacenter == "dc2"
        with site.client(site.authority.issue(uris=["spiffe://example/ns/prod/x"])) as other:
            for _ in range(4):
                other.filter(a_request("reports"))
        said = refused(lambda: client.filter(a_request("reports")), CODE.PERMISSION_DENIED, "'reports'")
        assert "dns:a.team.example" in said
        assert "its rule is team, which allows billing" in said
        alias = a_request("billing")
        alias.app_aliases.append("reports")
        refused(lambda: client.filter(alias), CODE.PERMISSION_DENIED, "'reports'")
        refused(lambda: client.route("reports"), CODE.PERMISSION_DENIED, "'reports'")
        refused(client.status, CODE.PERMISSION_DENIED, "may not call GetStatus")
        refused(lambda: client.stream([alias]), CODE.PERMISSION_DENIED, "may not call FilterWorkersStream")
        refused(lambda: next(client.watch()), CODE.PERMISSION_DENIED, "all applications")
        watch = client.watch("billing")
        assert next(watch).routes[0].app == "billing"
        watch.cancel()
        assert client.healthy()


def test_dispatches_of_a_caller_need_not_count(site: Site) -> None:
    """Its requests are answered alike, and leave no trace."""
    with site.client(site.authority.issue(dns=["a.team.example"])) as client:
        for _ in range(3):
            assert client.filter(a_request("billing", dispatch=True)).datacenter == "dc2"
    assert site.served.server.live_workers("billing") == ({}, 0)
    with site.client(site.authority.issue(uris=["spiffe://example/ns/prod/x"])) as client:
        client.filter(a_request("billing", dispatch=True))
    assert site.served.server.live_workers("billing")[0] == {"dc1": 2, "dc2": 2, "dc3": 2}


def test_tokens_name_callers_on_any_connection(site: Site) -> None:
    """Over a Unix socket; unknown ones are refused, and over the rate the time to wait is said."""
    refused(lambda: with_token(site.unix, "guess"), CODE.UNAUTHENTICATED, "the token is unknown")
    with Client(site.unix) as client:
        refused(client.status, CODE.PERMISSION_DENIED, "unix: no rule of the policy")
    assert pb.SidecarStatus.FromString(with_token(site.unix, "probe-secret")).version
    with_token(site.unix, "probe-secret")
    said = refused(lambda: with_token(site.unix, "probe-secret"), CODE.RESOURCE_EXHAUSTED, "more than 2 calls/s")
    wait = re.search(r"retry in ([0-9.]+) s", said)
    assert wait is not None
    assert 0 < float(wait[1]) <= 0.5
    eventually(lambda: _opens(lambda: with_token(site.unix, "probe-secret")), "a call within the rate", within=5)


def test_streams_of_a_caller_are_bounded(site: Site) -> None:
    """One more is refused at once, and there is room when one has ended."""
    with grpc.insecure_channel(site.unix) as channel:
        watch: Any = channel.unary_stream("/dcsidecar.v1.RoutingService/WatchRoutes", None, None)
        metadata = (("authorization", "Bearer slow-secret"),)
        first = watch(b"", metadata=metadata, timeout=20)
        next(first)
        refused(lambda: next(watch(b"", metadata=metadata)), CODE.RESOURCE_EXHAUSTED, "token:slow has 1 streams")
        first.cancel()
        eventually(lambda: _opens(lambda: next(watch(b"", metadata=metadata, timeout=5))), "room for a stream")


def _opens(call: Callable[[], object]) -> bool:
    try:
        call()
    except grpc.RpcError:
        return False
    return True


def test_revoked_and_expired_certificates_are_refused(site: Site) -> None:
    """A revoked one also on an open connection, a moment after the list says so; an expired one at the handshake."""
    leaf = site.authority.issue(uris=["spiffe://example/ns/prod/x"])
    with site.client(leaf) as client:
        client.filter()
        site.crl.write_bytes(site.authority.revoke(leaf))
        eventually(lambda: not _opens(client.filter), "a refusal")
        refused(client.filter, CODE.UNAUTHENTICATED, "the certificate of uri:spiffe://example/ns/prod/x is revoked")
    with site.client(site.authority.issue(uris=["spiffe://example/ns/prod/y"], expired=True)) as client:
        refused(client.filter, CODE.UNAVAILABLE, "")


def test_the_policy_is_reloaded_without_a_failed_call(site: Site) -> None:
    """Rules come and go under load; a broken file changes nothing; a withdrawn token is refused."""
    credentials = site.authority.credentials(site.authority.issue(uris=["spiffe://example/ns/prod/x"]))
    with Caller(site.served.address, credentials=credentials) as caller:
        with site.client(site.authority.issue(dns=["new.example"])) as client:
            refused(client.filter, CODE.PERMISSION_DENIED, "dns:new.example")
            site.policy.write_text("callers: nonsense")
            site.policy.write_text(POLICY + '- {name: new, match: ["dns:new.example"]}\n')
            eventually(lambda: _opens(client.filter), "a new rule")
            site.policy.write_text(POLICY)
            eventually(lambda: not _opens(client.filter), "the rule gone")
        with_token(site.unix, "probe-secret")
        site.write_tokens({"slow": "slow-secret"})
        eventually(lambda: not _opens(lambda: with_token(site.unix, "probe-secret")), "the token gone")
    caller.no_failures()


def test_the_python_client_presents_tokens(site: Site, tmp_path: Path) -> None:
    """From a file, which it reads again; refusals have classes of their own."""
    file = tmp_path / "token"
    file.write_text("slow-secret\n")
    with RoutingClient(site.unix, token_file=file, timeout=5) as client:
        assert client.status().version
        eventually(lambda: client.caching, "a watch")
        with pytest.raises(PermissionRefused), RoutingClient(site.unix, timeout=5, cache_size=0) as other:
            other.status()
        file.write_text("guess")
        with (
            pytest.raises(Unauthenticated),
            RoutingClient(site.unix, token_file=file, timeout=5, cache_size=0) as other,
        ):
            other.status()
    with pytest.raises(ConfigError):
        RoutingClient(site.unix, token_file=tmp_path / "none", timeout=5)


def test_the_socket_has_its_mode_and_owner(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> None:
    """As configured; an owner that does not exist is an error at the start."""
    path = tmp_path_factory.mktemp("s") / "s"
    serve(listen=(f"unix:{path}",), socket_mode=0o600, socket_owner=f"{os.getuid()}:{os.getgid()}")
    assert path.stat().st_mode & 0o777 == 0o600
    server = Server(
        RoutingTable(), settings=ServerSettings(listen=(f"unix:{path}2",), socket_owner="nobody-of-this-name")
    )
    with pytest.raises(ConfigError, match="--socket-owner nobody-of-this-name"):
        server.start()


def _wrong() -> Sequence[tuple[str, str]]:
    return (
        ("callers: []", "expected `callers:` with a list"),
        ("callers: [{name: a}]", "callers[0].match: expected a list of identities"),
        ("callers: [{name: a, match: [x]}]", "callers[0].match: found x, expected unix, anonymous, or a pattern"),
        ("callers: [{name: a, match: unix, app: [b]}]", "callers[0].app: no such key: did you mean apps?"),
        ("callers: [{name: a, match: unix, calls: [FilterWorker]}]", "did you mean FilterWorkers?"),
        ("callers: [{name: a, match: unix, rate: 0}]", "callers[0].rate: found '0', expected a whole number"),
        ("callers: [{name: a, match: unix}, {name: a, match: unix}]", "found a a second time"),
        ("callers: [{name: a, match: unix, dispatch: maybe}]", "expected true or false"),
        ("callers: [", "policy.yaml:2:1: this is no YAML"),
    )


@pytest.mark.parametrize(("policy", "said"), _wrong())
def test_a_wrong_policy_is_an_error_at_the_start(tmp_path: Path, policy: str, said: str) -> None:
    """With the place, what was found and what is expected."""
    path = tmp_path / "policy.yaml"
    path.write_text(policy)
    with pytest.raises(ConfigError) as wrong:
        Server(RoutingTable(), settings=ServerSettings(policy=path))
    assert said in str(wrong.value)


def test_a_list_of_another_authority_revokes_nothing(tmp_path: Path) -> None:
    """It is an error, as it is not signed by --tls-client-ca."""
    ours, theirs = Authority("ours"), Authority("theirs")
    (tmp_path / "policy").write_text(POLICY)
    (tmp_path / "ca").write_bytes(ours.pem)
    (tmp_path / "crl").write_bytes(theirs.revoke())
    settings = ServerSettings(policy=tmp_path / "policy", tls_client_ca=tmp_path / "ca", tls_crl=tmp_path / "crl")
    with pytest.raises(ConfigError, match="by CN=theirs, is not signed by one of --tls-client-ca"):
        Server(RoutingTable(), settings=settings)
