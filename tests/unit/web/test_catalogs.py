"""The page's messages: every code has one in each language, with the same parameters, and none is left over."""

from __future__ import annotations

import json
import re
from enum import Enum
from pathlib import Path

import pytest

import sidecar.web
from sidecar.audit.event import EventKind
from sidecar.audit.record import RecordCause
from sidecar.followers.registry import FollowerKind
from sidecar.lifecycle import SourceState
from sidecar.routing.changes import ChangeKind
from sidecar.routing.explain import OriginKind, OutcomeKind, VerdictKind
from sidecar.routing.model import FailBack
from sidecar.routing.outage import FaultKind, OutageKind
from sidecar.routing.shares import Destination
from sidecar.view import SkipReason
from sidecar.web.alerts import AlertKind

STATIC = Path(sidecar.web.__file__).parent / "static"
LANGUAGES = ("en", "zh")


def catalog(language: str) -> dict[str, str]:
    """Return the messages of a language: the object that its module exports is JSON."""
    text = (STATIC / "catalog" / f"{language}.js").read_text(encoding="utf-8")
    pairs: list[tuple[str, str]] = json.loads(
        text.removeprefix("export default ").rstrip().removesuffix(";"), object_pairs_hook=list
    )
    assert len(dict(pairs)) == len(pairs), "a key stands there twice"
    return dict(pairs)


def placeholders(message: str) -> set[str]:
    """Return the parameters of a message."""
    return set(re.findall(r"\{(\w+)\}", message))


CODES: dict[str, type[Enum]] = {
    "alert": AlertKind,
    "aspect": ChangeKind,
    "destination": Destination,
    "event": EventKind,
    "failover": FailBack,
    "fault": FaultKind,
    "follower": FollowerKind,
    "heading": RecordCause,
    "origin": OriginKind,
    "outage": OutageKind,
    "outcome": OutcomeKind,
    "skip": SkipReason,
    "verdict": VerdictKind,
}
# What each kind of message may be given, whichever code it has.
PARAMETERS: dict[str, set[str]] = {
    "aspect": {
        "shares",
        "backups",
        "to",
        "start",
        "duration",
        "steps",
        "value",
        "rule",
        "outage",
        "datacenter",
        "reason",
    },
    "destination": {"shares"},
    "event": set(),
    "failover": set(),
    "follower": set(),
    "heading": set(),
    "origin": {"path"},
    "alert": {
        "count",
        "state",
        "error",
        "url",
        "since",
        "outages",
        "probes",
        "more",
        "names",
        "name",
        "found",
        "retried",
        "stopped",
        "waiting",
        "rule",
        "clients",
    },
    "fault": {"workers", "needed", "probes", "since", "text", "probe", "error"},
    "outage": {"fault", "since", "reason"},
    "outcome": {"datacenter", "preferred", "outage", "needed"},
    "skip": {"datacenter", "probe", "target", "count"},
    "verdict": {"needed", "outage"},
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("prefix", "codes"), CODES.items())
def test_every_code_has_a_message(language: str, prefix: str, codes: type[Enum]) -> None:
    """Each member of each enum that reaches the page has a message, which uses no parameter that is not given."""
    messages = catalog(language)
    missing = [code.value for code in codes if not messages.get(f"{prefix}.{code.value}")]
    assert not missing
    for code in codes:
        assert placeholders(messages[f"{prefix}.{code.value}"]) <= PARAMETERS[prefix]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_states_of_the_source_have_messages(language: str) -> None:
    """The API names them in capitals."""
    assert all(catalog(language)[f"state.{state.name}"] for state in SourceState)


def test_the_languages_say_the_same() -> None:
    """The same keys, in the same order, and in each message the same parameters."""
    english, chinese = map(catalog, LANGUAGES)
    assert list(english) == list(chinese)
    different = [key for key in english if placeholders(english[key]) != placeholders(chinese[key])]
    assert not different


def test_what_the_page_asks_for_is_there_and_nothing_else() -> None:
    """Every key that a script or the page names is in the catalogs, and every message of the catalogs is named."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in STATIC.glob("*.js"))
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    named = set(re.findall(r'data-t(?:-label|-placeholder)?="([^"]+)"', html))
    # Any text of a script that is a key counts as named; `t("…")` must be one.
    literals = set(re.findall(r'"([\w.-]+)"', text))
    prefixes = tuple(set(re.findall(r"`([\w-]+\.)\$\{", text)))
    english = catalog("en")
    asked = named | set(re.findall(r'\bt\("([^"]+)"', text))
    assert asked <= english.keys()
    left_over = [key for key in english if key not in named | literals and not key.startswith(prefixes)]
    assert not left_over
