"""The weights of manifests, and the names that they may have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import ChangeRefused, ConfigError
from sidecar.followers.kubernetes import TOTAL, Placement, http_route, virtual_service, weights
from sidecar.routing.document import parse_document
from sidecar.routing.shares import shares
from sidecar.routing.state import State

DRILL = 'drills: [{datacenter: dc1, until: "2126-01-01T00:00:00Z"}]'


def state(document: str) -> State:
    """Return the State of a document."""
    return State(parse_document(document.encode()), 1, 0)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("default: {active: dc1, backups: [dc2]}", [("dc1", 1000), ("dc2", 0)]),
        ("default: {split: {dc1: 90, dc2: 10, dc3: 0}}", [("dc1", 900), ("dc2", 100), ("dc3", 0)]),
        ("default: {split: {dc1: 1, dc2: 1, dc3: 1}}", [("dc1", 334), ("dc2", 333), ("dc3", 333)]),
        ("default: {split: {dc1: 99999, dc2: 1}}", [("dc1", 999), ("dc2", 1)]),
        (f"default: {{active: dc1, backups: [dc2]}}\n{DRILL}", [("dc1", 0), ("dc2", 1000)]),
        ("datacenters: [dc1, dc2]\ndefault: {}", [("dc1", 500), ("dc2", 500)]),
        (
            f"datacenters: [dc1, dc2, dc3]\ndefault: {{active: dc1, on_empty: any}}\n{DRILL}",
            [("dc1", 0), ("dc2", 500), ("dc3", 500)],
        ),
    ],
)
def test_weights_are_the_shares(document: str, expected: list[tuple[str, int]]) -> None:
    """Of every datacenter of the route, in its order, 0 without a share; of all equally without a route."""
    assert weights(state(document), "shop") == expected


@pytest.mark.parametrize("document", [f"default: dc1\n{DRILL}", "{}"])
def test_without_a_datacenter_nothing_is_rendered(document: str) -> None:
    """Where none is in service, or the document names none: the manifest of before stays."""
    with pytest.raises(ChangeRefused, match="nothing is rendered"):
        weights(state(document), "shop")


@given(st.dictionaries(st.sampled_from([f"dc{n}" for n in range(40)]), st.floats(0.001, 1e6), min_size=2))
def test_weights_add_up(split: dict[str, float]) -> None:
    """To the total, each at least 1 and at most one tenth of a percent off, beside what small ones were raised by."""
    listed = ", ".join(f"{name}: {weight:f}" for name, weight in split.items())
    now = state(f"default: {{split: {{{listed}}}}}")
    found = dict(weights(now, "shop"))
    assert sum(found.values()) == TOTAL
    expected = dict(shares(now, "shop").by_datacenter)
    assert all((found[name] >= 1) is (name in expected) for name in found)
    raised = sum(max(0.0, 1 - share * TOTAL) for share in expected.values())
    assert all(abs(found[name] - share * TOTAL) <= 1 + raised for name, share in expected.items())


@pytest.mark.parametrize(
    ("placement", "options", "complaint"),
    [
        ({"app": "My App", "service": "x-{datacenter}"}, {}, "the name of the manifest: found 'My App'"),
        ({"app": "shop", "namespace": "a/b"}, {}, "the namespace"),
        ({"app": "shop", "service": "{datacenter}_x"}, {}, "the Service of dc1: found 'dc1_x'"),
        ({"app": "shop"}, {"gateways": ["a b"]}, "a gateway: found 'a b'"),
        ({"app": "shop"}, {"gateways": ["A/b"]}, "the namespace of a gateway"),
        ({"app": "shop"}, {"hosts": ["shop example"]}, "--host: found 'shop example'"),
    ],
)
def test_names_that_kubernetes_refuses_are_an_error(
    placement: dict[str, str], options: dict[str, list[str]], complaint: str
) -> None:
    """With what was found and the flag that changes it."""
    with pytest.raises(ConfigError, match=complaint):
        http_route(Placement(**placement), [("dc1", 1000)], **{"gateways": ["public"], **options})  # type: ignore[arg-type]


def test_subsets_are_of_one_service() -> None:
    """With a template that names a Service for each datacenter they cannot be."""
    with pytest.raises(ConfigError, match="expected one Service"):
        virtual_service(Placement(app="shop"), [("dc1", 500), ("dc2", 500)], subset_label="dc")
