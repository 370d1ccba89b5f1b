from __future__ import annotations

import pytest

from sidecar.editing import verbs
from sidecar.editing.rewrite import rewrite, tree_of
from sidecar.errors import ChangeRefused
from sidecar.routing.document import parse_document

S = 10**9


def sent_back(text: str, *apps: str | None) -> str:
    """Return what a document is after work was sent back at the ninth second."""
    encoded = text.encode()
    tree = verbs.fail_back(tree_of(encoded), parse_document(encoded), apps, 9 * S)
    return rewrite(encoded, tree).decode()


INHERITED = """\
default:
  active: dc1
  failover: {after: 10s, back: manual}
apps:
  billing: dc2
"""


def test_a_rule_of_its_own_gets_the_time() -> None:
    """When work was sent back stands in the rule, which is otherwise what it was."""
    text = "default: {active: dc1, failover: {back: manual}}\n"
    after = sent_back(text, None)
    rule = parse_document(after.encode()).default.failover
    assert rule is not None
    assert (rule.failed_back_ns, rule.back.value) == (9 * S, "manual")
    assert parse_document(sent_back(after, None).encode()).default.failover == rule


def test_an_inherited_rule_is_taken_over() -> None:
    """An application that inherits the rule gets one of its own, equal but for the time; the others go on as before."""
    after = parse_document(sent_back(INHERITED, "billing").encode())
    rule = after.route("billing").failover
    assert rule is not None
    assert (rule.after_ns, rule.back.value, rule.failed_back_ns) == (10 * S, "manual", 9 * S)
    assert after.route("other").failover == parse_document(INHERITED.encode()).default.failover
    assert after.route("billing").names == ("dc2",)


def test_an_application_that_the_document_does_not_name() -> None:
    """It gets an entry that has the rule and nothing else."""
    after = parse_document(sent_back(INHERITED, "reports").encode())
    assert after.route("reports").selector == after.default.selector
    rule = after.route("reports").failover
    assert rule is not None
    assert rule.failed_back_ns == 9 * S


def test_without_a_rule_there_is_nothing_to_send_back() -> None:
    """Work of a route without the key returns by itself, and the operator is told so."""
    with pytest.raises(ChangeRefused, match="billing has no `failover` key: its work returns by itself"):
        sent_back("default: dc1\n", "billing")
