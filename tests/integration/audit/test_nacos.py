"""Who wrote, by the history of a real Nacos in which users log in."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from sidecar.audit.journal_reader import FOLDER, newest_first
from sidecar.audit.record import Record
from sidecar.sources import open_source
from sidecar.sources.base import Content
from tests.harness import SidecarProcess
from tests.servers.nacos.server import NacosServer, source_url
from tests.waiting import eventually

pytestmark = pytest.mark.nacos

PASSWORD = "a-password"


def newest(state: Path) -> Record | None:
    """Return the newest record, if there is one."""
    return next(newest_first(state / FOLDER), None)


def test_the_audit_names_who_published(nacos3_with_users: NacosServer, tmp_path: Path) -> None:
    """A user who logged in, and wrote nothing into `meta`, is recorded with the address."""
    key, state = f"routing-{uuid.uuid4().hex[:8]}", tmp_path / "state"
    nacos3_with_users.operator.create_user(key, PASSWORD, f"role-{key}", action="r")
    nacos3_with_users.operator.publish(key, "dc1")
    env = {"DC_SIDECAR_NACOS_USERNAME": key, "DC_SIDECAR_NACOS_PASSWORD": PASSWORD}
    source = source_url([nacos3_with_users], key)
    with SidecarProcess(source, "--state-dir", str(state), folder=tmp_path, env=env, within=60):
        eventually(lambda: newest(state), "the first record")
        author = open_source(source, {"nacos-username": "nacos", "nacos-password": "nacos"})
        present = author.read(30)
        assert isinstance(present, Content)
        author.write(b"dc2", present.version, 30)
        found = eventually(lambda: (one := newest(state)) and one.text == "dc2" and one, "the record", within=20)
    assert isinstance(found, Record)
    assert found.origin["user"] == "nacos"
    assert found.origin["address"]
