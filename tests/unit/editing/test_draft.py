"""What an edit makes of the key's text, before anything is known but the documents."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.editing import operations
from sidecar.editing.draft import CurrentDocument, Edit, MetaPolicy, difference
from sidecar.errors import ChangeRefused
from sidecar.routing.document import parse_document
from sidecar.routing.outage import NO_WORKERS, unhealthy
from sidecar.routing.parsed_text import parse_text
from tests.unit.editing.changes import TEXT, current, drafted, switch


def test_meta_replaces_that_of_the_change_before() -> None:
    """Who and when are always new; an old reason and ticket do not stay as if they were this change's."""
    meta = parse_document(drafted(switch("dc2", "billing")).new.text).meta
    assert meta == {"by": "lin", "at": "2026-11-22T10:00:00Z", "team": "core"}


def test_a_bare_word_gets_meta_only_if_asked() -> None:
    """A bare word has no room for `meta`; with --meta it becomes a document that has."""
    edit = Edit(make=lambda found, _: operations.switch(found.valid()[0], "dc2", default=True), moves_work=True)
    assert drafted(edit, b"dc1\n").new.text == b"dc2\n"
    assert drafted(edit, b"dc1\n", full=True, reason="it's hot").new.text == (
        b'meta: {by: lin, at: "2026-11-22T10:00:00Z", reason: "it\'s hot"}\ndefault: dc2\n'
    )


def test_what_would_be_no_document_is_refused_with_its_place() -> None:
    """A name that the document's own datacenters block does not have is reported as `check` reports it."""
    text = b"datacenters: [dc1, dc2]\ndefault: dc1\n"
    with pytest.raises(ChangeRefused, match=r"apps\.a \(line \d+, column \d+\): found dc22.*did you mean"):
        drafted(switch("dc22", "a"), text)


def test_a_broken_or_missing_document_is_for_other_commands() -> None:
    """A command that changes a part needs a valid whole, and says which commands do not."""
    missing = CurrentDocument(key="file:rooting.yaml", missing="rooting.yaml does not exist")
    with pytest.raises(
        ChangeRefused, match=r"document at file:rooting\.yaml \(rooting.yaml .*: check the name"
    ) as found:
        missing.valid()
    assert "init" not in str(found.value)
    with pytest.raises(ChangeRefused, match=r"(?s)dc-sidecar edit.*dc-sidecar rollback.*unknown key"):
        current(b"backup: dc1").valid()


def test_a_typo_in_an_application_is_refused() -> None:
    """The nearest names are offered; only --new gives an application that the document does not name a route."""
    text = b"default: dc1\napps: {billing: dc1, billing-eu: dc1, reports: dc2}\n"
    for edit in (switch("dc2", "biling"), replace(switch("dc2"), scope=("biling",))):
        with pytest.raises(ChangeRefused, match=r"(?s)no application biling: did you mean billing or .*pass --new"):
            drafted(edit, text, new_apps=False)
        assert drafted(edit, text).changes_text
    with pytest.raises(ChangeRefused, match="no application xyz\n"):
        drafted(switch("dc2", "xyz", "billing"), text, new_apps=False)
    assert drafted(switch("dc2", "billing"), text, new_apps=False).changes_text


def test_a_whole_text_replaces_also_a_broken_one() -> None:
    """The text is taken as it is, and no effect is computed from what cannot be read."""
    text = parse_text(b"dc2\n")
    draft = drafted(Edit(make=lambda *_: text, meta=MetaPolicy.NEVER), b"nonsense: 1")
    assert draft.new is text
    assert draft.impact.before is None


def test_a_whole_text_may_be_written_in_any_way() -> None:
    """A text that could not be changed in place is no obstacle where nothing in it changes."""
    text = parse_text(b'{"meta": {"by": "\\ud83d\\ude00"}, "default": "dc1"}')
    assert drafted(Edit(make=lambda *_: text, meta=MetaPolicy.NEVER)).new is text


def test_an_edit_that_wrote_its_own_meta_keeps_it() -> None:
    """`meta` is written to an edited text only where the editor left it as it was."""
    untouched = parse_text(TEXT.replace(b"alone", b"lonely"))
    by_hand = parse_text(untouched.text.replace(b"kim", b"me"))
    assert b"by: lin" in drafted(Edit(make=lambda *_: untouched, meta=MetaPolicy.UNLESS_EDITED)).new.text
    assert drafted(Edit(make=lambda *_: by_hand, meta=MetaPolicy.UNLESS_EDITED)).new is by_hand


def test_json_on_one_line_is_indented_in_the_difference() -> None:
    """The difference of two JSON texts without line breaks shows the entry, not two endless lines."""
    lines = difference(b'{"default":"dc1","apps":{"a":"dc1"}}', b'{"default":"dc1","apps":{"a":"dc2"}}')
    assert [line.strip() for line in lines if line[0] in "+-"][2:] == ['-    "a": "dc1"', '+    "a": "dc2"']


def test_applications_that_get_jobs_elsewhere_are_named() -> None:
    """They are those to ask sidecars about; an outage moves others than the documents alone do."""
    assert drafted(switch("dc2", "billing")).apps({}) == ("billing",)
    backups = Edit(
        make=lambda *_: parse_text(TEXT.replace(b"alone: {active: dc1, backups: []}", b"alone: {active: dc1}")),
        meta=MetaPolicy.NEVER,
    )
    assert drafted(backups).apps({}) == ()
    assert drafted(backups).apps({"dc1": unhealthy(NO_WORKERS)}) == ("alone",)
