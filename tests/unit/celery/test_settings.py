"""The settings of a Celery application's routing."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.celery.queue_names import QueueNames
from sidecar.celery.settings import CelerySettings, Forward, OnOutage, default_state_dir, own_datacenter
from sidecar.errors import ConfigError


def test_texts_become_choices() -> None:
    """Choices are given as the texts of the documentation."""
    settings = CelerySettings(application="billing", on_outage="closed", forward="always", state_dir="/var/lib/x")
    assert settings.on_outage is OnOutage.CLOSED
    assert settings.forward is Forward.ALWAYS
    assert settings.state_dir == Path("/var/lib/x")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("on_outage", "wait", "last-known or open or closed"),
        ("on_no_worker", "hold", "queue or fail"),
        ("forward", "sometimes", "eta or always or never"),
        ("share_by", "customer", "task, id or argument:NAME"),
        ("share_by", "argument:", "task, id or argument:NAME"),
        ("application", "", "a name"),
        ("datacenter", "dc 1", "letters, digits"),
        ("template", "{queue}", "{dc}"),
        ("template", "{queue}{dc}", "a separator"),
        ("template", "{queue}.{dc}.{zone}", "a separator"),
        ("timeout", 0.0, "seconds"),
        ("observe_every", -1.0, "seconds"),
    ],
)
def test_a_bad_value_is_refused(key: str, value: object, expected: str) -> None:
    """The error names the setting, what was found, and what is expected."""
    values: dict[str, object] = {"application": "billing", key: value}
    with pytest.raises(ConfigError) as refused:
        CelerySettings(**values)  # type: ignore[arg-type]
    assert str(refused.value).startswith(f"{key}: found {value!r}")
    assert expected in str(refused.value)


def test_queues_are_routed_unless_excluded() -> None:
    """`queues` limits routing to some, `exclude` takes some out."""
    assert CelerySettings(application="a").routes("work")
    assert not CelerySettings(application="a", exclude=["work"]).routes("work")
    assert not CelerySettings(application="a", queues=["other"]).routes("work")


def test_a_workers_datacenter_is_in_the_environment_or_a_file(tmp_path: Path) -> None:
    """The variable wins over the file; without both it is not known."""
    file = tmp_path / "datacenter"
    file.write_text("dc2\n")
    named = {"DC_SIDECAR_DATACENTER_FILE": str(file)}
    assert own_datacenter(named) == "dc2"
    assert own_datacenter({**named, "DC_SIDECAR_DATACENTER": " dc1 "}) == "dc1"
    assert own_datacenter({"DC_SIDECAR_DATACENTER_FILE": str(tmp_path / "none")}) == ""


def test_state_is_kept_in_the_home_directory() -> None:
    """XDG_STATE_HOME says where; a process without a home keeps none."""
    assert default_state_dir({"XDG_STATE_HOME": "/s", "HOME": "/h"}) == Path("/s/dc-sidecar/celery")
    assert default_state_dir({"HOME": "/h"}) == Path("/h/.local/state/dc-sidecar/celery")
    assert default_state_dir({}) is None


def test_the_name_of_a_queue_is_split_by_the_longest_datacenter() -> None:
    """A queue whose name ends like another datacenter's keeps its name; an unknown one is no datacenter's."""
    names = QueueNames("{queue}.{dc}")
    assert names.of("work", "dc1") == "work.dc1"
    assert names.split("work.dc1", ["dc1", "dc2"]) == ("work", "dc1")
    assert names.split("work.eu.dc1", ["dc1", "eu.dc1"]) == ("work", "eu.dc1")
    assert names.split("work.dc9", ["dc1"]) == ("work.dc9", "")
    assert names.split(".dc1", ["dc1"]) == (".dc1", "")
    assert QueueNames("{dc}:{queue}").split("dc1:work", ["dc1"]) == ("work", "dc1")
