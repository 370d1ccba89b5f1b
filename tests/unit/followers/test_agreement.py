"""All followers agree with FilterWorkers: shares over many keys, and each key."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.errors import ChangeRefused
from sidecar.followers.haproxy_agent import agent_answer
from sidecar.followers.kubernetes import TOTAL, weights
from sidecar.pb.dcsidecar.v1.routing_pb2 import Worker
from sidecar.routing.decision import decide
from sidecar.routing.document import parse_document
from sidecar.routing.outage import NO_WORKERS, unhealthy
from sidecar.routing.state import State
from sidecar.web.following import active, decided
from sidecar.xds import weights as xds

NAMES = ("dc1", "dc2", "dc3", "dc4")
EVERYWHERE = [Worker(address=name, datacenter=name) for name in NAMES]
KEYS = [f"user-{number}" for number in range(400)]
# More than five standard deviations of a share among so many keys.
_TOLERANCE = 0.14


@st.composite
def states(draw: st.DrawFn) -> State:
    """Return a State: a split or a ramp with backups, and any datacenters out of service."""
    split = draw(st.dictionaries(st.sampled_from(NAMES), st.integers(1, 100), min_size=2, max_size=3))
    backups = [name for name in NAMES if name not in split]
    weighted = ", ".join(f"{name}: {weight}" for name, weight in split.items())
    selector = f"split: {{{weighted}}}"
    if draw(st.booleans()):
        source, target = list(split)[:2]
        start = "1970-01-01T00:00:00Z"
        selector = f'ramp: {{from: {source}, to: {target}, start: "{start}", duration: 10s, steps: 10}}'
        backups = [name for name in NAMES if name not in (source, target)]
    down = draw(st.sets(st.sampled_from(NAMES), max_size=3))
    text = f"default: {{{selector}, backups: [{', '.join(backups)}]}}"
    now_ns = draw(st.integers(0, 11)) * 10**9
    return State(parse_document(text.encode()), 1, now_ns, unhealthy=dict.fromkeys(down, unhealthy(NO_WORKERS)))


@given(states())
@settings(max_examples=40, deadline=None)
def test_every_follower_has_the_shares_of_filter_workers(state: State) -> None:
    """Gate, forward authentication, HAProxy, manifests, and the weights of xDS."""
    chosen = {key: decide(state, "shop", key, "", EVERYWHERE).datacenter for key in KEYS}
    counts = Counter(chosen.values())
    try:
        whole = dict(weights(state, "shop"))
    except ChangeRefused:
        # Nothing is left: a ramp's target has no share yet, and all others are out.
        whole = {}
        assert counts.keys() == {""}
    pushed = xds.proxy_weights(state, "shop").by_datacenter
    for name in NAMES:
        gate = active(state, "shop", name, "")
        # Where nothing is left there is no share at all.
        share = float(gate.headers.get("X-Share", "0"))
        assert abs(counts[name] / len(KEYS) - share) < _TOLERANCE
        assert counts[name] == 0 or share > 0
        assert (gate.status == 200) is (share > 0)
        assert abs(whole.get(name, 0) / TOTAL - share) <= 0.002
        assert abs(pushed.get(name, 0) / xds.TOTAL - share) <= 0.0001
        answer = agent_answer(state, "shop", name)
        percent = int(answer.split()[-1].rstrip("%")) if answer.startswith("ready") else 0
        assert abs(percent / 100 - share) <= 0.01
    for key in KEYS[::20]:
        assert decided(state, "shop", key).headers.get("X-Datacenter", "") == chosen[key]
        here = [name for name in NAMES if active(state, "shop", name, key).status == 200]
        assert here == ([chosen[key]] if chosen[key] else [])
