"""The log level of a sidecar that runs."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil

from tests.harness import SidecarProcess
from tests.waiting import eventually


def test_sighup_takes_the_log_level(tmp_path: Path) -> None:
    """The level in the configuration's file counts from SIGHUP on; a file that is no configuration changes nothing."""
    document, settings = tmp_path / "routing.yaml", tmp_path / "sidecar.yaml"
    document.write_text("dc1")
    settings.write_text("log-level: error\n")
    with SidecarProcess(f"file:{document}", "--config", str(settings), folder=tmp_path) as sidecar:
        process = psutil.Process(sidecar.pid)
        settings.write_text("log-level: info\n")
        process.send_signal(signal.SIGHUP)
        eventually(lambda: "SIGHUP: the log level is info" in sidecar.log_text(), "the new level")
        document.write_text("dc2")
        eventually(lambda: "dc1 → dc2" in sidecar.log_text(), "a line of the change")
        settings.write_text("log-level: lots\n")
        process.send_signal(signal.SIGHUP)
        eventually(lambda: "the log level stays" in sidecar.log_text(), "a warning")
        assert sidecar.filter().datacenter == "dc2"


def test_a_change_of_the_file_takes_the_log_level(tmp_path: Path) -> None:
    """Without a signal the level follows the file, also through a link to another one; a bad file is logged once."""
    document, settings = tmp_path / "routing.yaml", tmp_path / "sidecar.yaml"
    document.write_text("dc1")
    for name, text in (("one", "log-level: error\n"), ("two", "log-level: info\n"), ("three", "log-level: lots\n")):
        (tmp_path / name).write_text(text)
    settings.symlink_to("one")
    with SidecarProcess(f"file:{document}", "--config", str(settings), folder=tmp_path) as sidecar:
        (tmp_path / "new").symlink_to("two")
        (tmp_path / "new").rename(settings)
        eventually(lambda: f"{settings}: the log level is info" in sidecar.log_text(), "the new level")
        (tmp_path / "new").symlink_to("three")
        (tmp_path / "new").rename(settings)
        eventually(lambda: "the log level stays" in sidecar.log_text(), "a warning")
        document.write_text("dc2")
        eventually(lambda: "dc1 → dc2" in sidecar.log_text(), "a line of the change")
        assert sidecar.log_text().count("the log level stays") == 1
