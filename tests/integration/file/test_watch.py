"""The file source sees every way in which people and machines replace a file."""

from __future__ import annotations

import os
import random
import shutil
import socket
import threading
import time
from pathlib import Path

import psutil
import pytest
from watchdog.observers.api import BaseObserver

from sidecar.sources import file
from sidecar.sources.base import Content, Missing, Unreachable
from tests.integration.file.watched import Watch, Watched
from tests.waiting import eventually

events_only = pytest.mark.usefixtures("by_events")


def renamed_over(path: Path, text: str) -> None:
    """As most editors and this project save."""
    new = path.with_name(".new")
    new.write_text(text)
    new.replace(path)


def renamed_from_elsewhere(path: Path, text: str) -> None:
    """As a deployment from a staging directory does."""
    elsewhere = path.parent.parent / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    (elsewhere / "new").write_text(text)
    (elsewhere / "new").replace(path)


def truncated_and_written(path: Path, text: str) -> None:
    """As `cat >` and some editors do."""
    path.write_text(text)


def deleted_and_made_again(path: Path, text: str) -> None:
    """As a careless script does."""
    path.unlink(missing_ok=True)
    path.write_text(text)


def kept_as_backup(path: Path, text: str) -> None:
    """As vim does with `backup` set."""
    path.rename(path.with_name("x.yaml~"))
    path.write_text(text)
    path.with_name("x.yaml~").unlink()


def moved_away_and_linked(path: Path, text: str) -> None:
    """As `ln -sfn` does."""
    new = path.with_name(f"text-{time.monotonic_ns()}")
    new.write_text(text)
    path.with_name("x.lnk").symlink_to(new.name)
    path.with_name("x.lnk").replace(path)


def hard_linked(path: Path, text: str) -> None:
    """As a snapshot tool does."""
    path.with_name(".new").write_text(text)
    path.unlink(missing_ok=True)
    path.hardlink_to(path.with_name(".new"))
    path.with_name(".new").unlink()


def directory_exchanged(path: Path, text: str) -> None:
    """As a deployment that prepares a whole directory does."""
    new, old = path.parent.with_name("new"), path.parent.with_name("old")
    new.mkdir()
    (new / path.name).write_text(text)
    path.parent.rename(old)
    new.rename(path.parent)
    shutil.rmtree(old)


def directory_removed_and_made_again(path: Path, text: str) -> None:
    """As an unpacked archive does; the inode number is often used again."""
    shutil.rmtree(path.parent)
    path.parent.mkdir()
    path.write_text(text)


WAYS = [
    renamed_over,
    renamed_from_elsewhere,
    truncated_and_written,
    deleted_and_made_again,
    kept_as_backup,
    moved_away_and_linked,
    hard_linked,
    directory_exchanged,
    directory_removed_and_made_again,
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a file that holds `dc1`."""
    (tmp_path / "etc").mkdir()
    path = tmp_path / "etc" / "x.yaml"
    path.write_text("dc1")
    return path


@events_only
@pytest.mark.parametrize("replace", WAYS)
def test_a_replaced_file_is_seen_by_events_alone_time_after_time(replace: object, path: Path, watch: Watch) -> None:
    """Each way of replacing a file leaves the watches in a state in which the next replacement is seen too."""
    assert callable(replace)
    watched = watch(path)
    watched.reaches("dc1")
    for number in range(5):
        replace(path, f"dc{number}")
        watched.reaches(f"dc{number}")


@events_only
def test_link_swaps_on_every_level_are_seen(tmp_path: Path, watch: Watch) -> None:
    """`ln -sfn` of the file's link, of its directory's and of one further up, absolute and relative, is followed."""
    for release in ("r1", "r2", "r3"):
        (tmp_path / "releases" / release / "conf").mkdir(parents=True)
        (tmp_path / "releases" / release / "conf" / "a.yaml").write_text(f"{release}-a")
        (tmp_path / "releases" / release / "conf" / "b.yaml").write_text(f"{release}-b")
    (tmp_path / "current").symlink_to("releases/r1")
    (tmp_path / "conf").symlink_to(tmp_path / "current" / "conf")
    (tmp_path / "etc").mkdir()
    path = tmp_path / "etc" / "x.yaml"
    path.symlink_to("../conf/a.yaml")
    watched = watch(path)
    watched.reaches("r1-a")

    def relink(link: Path, target: str | Path) -> None:
        link.with_name("tmp.lnk").symlink_to(target)
        link.with_name("tmp.lnk").replace(link)

    relink(tmp_path / "current", tmp_path / "releases" / "r2")
    watched.reaches("r2-a")
    relink(path, tmp_path / "conf" / "b.yaml")
    watched.reaches("r2-b")
    relink(tmp_path / "current", "releases/r3")
    watched.reaches("r3-b")
    relink(tmp_path / "conf", "releases/r1/conf")
    watched.reaches("r1-b")
    (tmp_path / "releases" / "r1" / "conf" / "b.yaml").write_text("in place")
    watched.reaches("in place")
    assert watched.texts() == ["r1-a", "r2-a", "r2-b", "r3-b", "r1-b", "in place"]


def kubelet_writes(volume: Path, name: str, text: str, number: int) -> None:
    """Update a ConfigMap volume as kubelet's AtomicWriter does."""
    old = volume / "..data"
    old_target = old.readlink() if old.is_symlink() else None
    fresh = volume / f"..2026_11_22_10_00_00.{number:09d}"
    fresh.mkdir(mode=0o755)
    (fresh / name).write_text(text)
    (volume / "..data_tmp").symlink_to(fresh.name)
    (volume / "..data_tmp").replace(volume / "..data")
    if not (volume / name).is_symlink():
        (volume / name).symlink_to(f"..data/{name}")
    if old_target is not None:
        shutil.rmtree(volume / old_target)


@events_only
def test_configmap_swaps_are_seen(tmp_path: Path, watch: Watch) -> None:
    """Kubelet's swap of `..data` is followed through many updates, without a moment of Missing."""
    kubelet_writes(tmp_path, "routing.yaml", "v0", 0)
    watched = watch(tmp_path / "routing.yaml")
    watched.reaches("v0")
    for number in range(1, 20):
        kubelet_writes(tmp_path, "routing.yaml", f"v{number}", number)
        watched.reaches(f"v{number}")
    assert all(isinstance(report, Content) for report in watched.reports)


@events_only
def test_a_directory_may_come_later(tmp_path: Path, watch: Watch) -> None:
    """A path whose directories do not exist yet is Missing, says which, and is read once all are there."""
    watched = watch(tmp_path / "a" / "b" / "c" / "x.yaml")
    missing = watched.becomes(Missing)
    assert isinstance(missing, Missing)
    assert f"there is no {tmp_path / 'a'}" in missing.reason
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").mkdir()
    eventually(lambda: f"there is no {tmp_path / 'a' / 'b' / 'c'}" in str(watched.last), "the next one named")
    (tmp_path / "a" / "b" / "c").mkdir()
    watched.path.write_text("dc1")
    watched.reaches("dc1")
    shutil.rmtree(tmp_path / "a")
    watched.becomes(Missing)
    watched.path.parent.mkdir(parents=True)
    watched.path.write_text("dc2")
    watched.reaches("dc2")


@events_only
def test_a_half_written_file_is_followed_by_the_whole_one(path: Path, watch: Watch) -> None:
    """While a writer has the file open nothing needs to be said; at its close the whole text is delivered."""
    watched = watch(path)
    watched.reaches("dc1")
    with path.open("w") as writer:
        writer.write("default:")
        writer.flush()
        writer.write(" dc2")
    watched.reaches("default: dc2")


@pytest.mark.usefixtures("by_polling")
def test_a_half_written_file_is_delivered_as_it_is_while_its_writer_pauses(path: Path, watch: Watch) -> None:
    """A writer that stays away in the middle hides nothing: the half is shown, to be refused, and later the whole."""
    watched = watch(path)
    watched.reaches("dc1")
    with path.open("w") as writer:
        writer.write("default:")
        writer.flush()
        watched.reaches("default:")
        writer.write(" dc2")
    watched.reaches("default: dc2")


@events_only
def test_a_moment_of_absence_is_not_reported(path: Path, watch: Watch) -> None:
    """An editor that empties or deletes the file and writes it a moment later never makes it Missing."""
    watched = watch(path)
    watched.reaches("dc1")
    for number in range(10):
        path.write_text("") if number % 2 else path.unlink()
        time.sleep(0.02)
        path.write_text(f"dc{number}")
        watched.reaches(f"dc{number}")
    assert all(isinstance(report, Content) for report in watched.reports)


@events_only
@pytest.mark.parametrize("emptied", [True, False])
def test_a_lasting_absence_is_reported(path: Path, watch: Watch, *, emptied: bool) -> None:
    """A file that stays empty or deleted is Missing, and says which of the two."""
    watched = watch(path)
    watched.reaches("dc1")
    path.write_text("") if emptied else path.unlink()
    assert watched.becomes(Missing) == Missing(f"{path} is empty" if emptied else f"{path} does not exist")


@events_only
@pytest.mark.parametrize("kind", ["a directory", "a pipe", "a socket", "a device", "itself"])
def test_what_is_no_file_is_unreachable_and_holds_nothing_up(kind: str, path: Path, watch: Watch) -> None:
    """A directory, a pipe without a writer, a socket, a device, a link to itself: said, and a file after it is read."""
    watched = watch(path)
    watched.reaches("dc1")
    other = path.with_name("other")
    if kind == "a directory":
        path.unlink()
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(other)
        other.replace(path)
    elif kind == "a socket":
        path.unlink()
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    else:
        other.symlink_to("/dev/zero" if kind == "a device" else path.name)
        other.replace(path)
    report = watched.becomes(Unreachable)
    assert isinstance(report, Unreachable)
    assert (f"is {kind}, expected a regular file" if kind != "itself" else "symbolic links") in report.reason
    path.rmdir() if kind == "a directory" else path.unlink()
    path.write_text("dc2")
    watched.reaches("dc2")


@pytest.mark.usefixtures("by_polling")
@pytest.mark.timed
def test_a_change_that_no_event_tells_of_is_seen_within_two_seconds(path: Path, watch: Watch) -> None:
    """Same inode, same size, same modification time and no event: the text alone decides."""
    watched = watch(path)
    watched.reaches("dc1")
    before = path.stat()
    began = time.monotonic()
    path.write_text("dc2")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    watched.reaches("dc2", within=10)
    assert time.monotonic() - began < 2
    assert (path.stat().st_ino, path.stat().st_size, path.stat().st_mtime_ns) == (
        before.st_ino,
        before.st_size,
        before.st_mtime_ns,
    )


def test_an_unchanged_file_is_confirmed(path: Path, watch: Watch) -> None:
    """An unchanged file is delivered repeatedly, as the same text at the same version."""
    watched = watch(path)
    eventually(lambda: len(watched.reports) >= 3, "three reports")
    assert len({report.version for report in watched.reports if isinstance(report, Content)}) == 1


def test_a_deaf_watch_is_replaced(path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a change that was found without an event, watching starts afresh: the next one comes with an event."""
    watched = watch(path)
    watched.listens()
    (observer,) = [thread for thread in threading.enumerate() if isinstance(thread, BaseObserver)]
    observer.unschedule_all()
    path.write_text("dc2")
    watched.reaches("dc2")
    eventually(lambda: not observer.is_alive(), "the deaf observer ended")
    eventually(lambda: any(isinstance(one, BaseObserver) for one in threading.enumerate()), "a new observer")
    monkeypatch.setattr(file, "_POLL_S", 3600.0)
    before = len(watched.reports)
    eventually(lambda: len(watched.reports) > before, "the last look by the old rhythm")
    path.write_text("dc3")
    watched.reaches("dc3")


def test_an_enormous_file_is_cut_where_it_is_sure_to_be_refused(path: Path, watch: Watch) -> None:
    """Of a file of 1 TiB one byte more than the limit is read, so that the parser can refuse it for its size."""
    with path.open("r+b") as sparse:
        sparse.truncate(2**40)
    watched = watch(path)
    report = watched.becomes(Content)
    assert isinstance(report, Content)
    assert len(report.text) == file.READ_LIMIT + 1


def test_a_file_rewritten_without_pause_does_not_eat_a_core(path: Path, watch: Watch) -> None:
    """However often a file is rewritten, it is read a hundred times a second at most, and its last text is reached."""
    watched = watch(path)
    watched.reaches("dc1")
    began, before = time.monotonic(), len(watched.reports)
    number = 0
    while time.monotonic() - began < 1:
        number += 1
        path.write_text(f"text {number}")
    watched.reaches(f"text {number}")
    assert number > 200
    assert len(watched.reports) - before <= 100 * (time.monotonic() - began) + 1


def test_it_never_goes_back(path: Path, watch: Watch) -> None:
    """Through a hundred replacements of all kinds in quick succession texts come in order, and the last one comes."""
    dice = random.Random(7)
    watched = watch(path)
    for number in range(100):
        dice.choice(WAYS)(path, f"{number}")
        if dice.random() < 0.3:
            watched.reaches(f"{number}")
    watched.reaches("99")
    seen = [int(text) for text in watched.texts() if text != "dc1"]
    assert seen == sorted(seen)


@pytest.mark.timed
def test_stop_leaves_nothing_behind(path: Path) -> None:
    """After `stop` nothing is delivered, and no thread and no descriptor is left, however often it is done."""

    def life() -> None:
        watched = Watched(path)
        watched.reaches("dc1")
        path.write_text("dc1")
        began = time.monotonic()
        watched.source.stop(5)
        assert time.monotonic() - began < 2
        count = len(watched.reports)
        path.write_text("dc1")
        assert len(watched.reports) == count

    life()
    process = psutil.Process()
    threads, descriptors = process.num_threads(), process.num_fds()
    for _ in range(20):
        life()
    eventually(lambda: process.num_threads() <= threads, "no thread more")
    eventually(lambda: process.num_fds() <= descriptors, "no descriptor more")


def test_many_swaps_leak_nothing(tmp_path: Path, watch: Watch) -> None:
    """Watches on directories that are gone are given up: threads and descriptors stay what they were."""
    kubelet_writes(tmp_path, "routing.yaml", "v0", 0)
    watched = watch(tmp_path / "routing.yaml")
    watched.listens()
    process = psutil.Process()
    threads, descriptors = process.num_threads(), process.num_fds()
    for number in range(1, 200):
        kubelet_writes(tmp_path, "routing.yaml", f"v{number}", number)
    watched.reaches("v199")
    eventually(lambda: process.num_threads() <= threads, "no thread more")
    eventually(lambda: process.num_fds() <= descriptors, "no descriptor more")
