"""Which threads read connections, by the option, the addresses and the operator's own variable."""

from __future__ import annotations

import pytest

from sidecar.errors import ConfigError
from sidecar.server.reading import choose_reading

DIRECT = "-event_engine_listener"
THREADS = "event_engine_listener"


@pytest.mark.parametrize(
    ("reading", "listen", "chosen"),
    [
        ("auto", ("127.0.0.1:0",), DIRECT),
        ("auto", ("localhost:0", "[::1]:0", "unix:/run/s.sock"), DIRECT),
        ("auto", ("0.0.0.0:0",), THREADS),
        ("auto", ("unix:/run/s.sock", "192.0.2.2:50051"), THREADS),
        ("auto", ("[::]:50051",), THREADS),
        ("direct", ("0.0.0.0:0",), DIRECT),
        ("threads", ("unix:/run/s.sock",), THREADS),
    ],
)
def test_threads_read_what_other_machines_can_send(reading: str, listen: tuple[str, ...], chosen: str) -> None:
    """By default only where they can connect; either can be forced."""
    environ: dict[str, str] = {}
    choose_reading(reading, listen, environ)
    assert environ == {"GRPC_EXPERIMENTS": chosen}


@pytest.mark.parametrize("own", [THREADS, DIRECT, f"other,{DIRECT}"])
def test_a_choice_in_the_environment_stands(own: str) -> None:
    """The operator's variable goes before the option."""
    environ = {"GRPC_EXPERIMENTS": own}
    choose_reading("threads", ("0.0.0.0:0",), environ)
    assert environ == {"GRPC_EXPERIMENTS": own}


def test_other_experiments_are_kept() -> None:
    """Of the operator's variable nothing is lost."""
    environ = {"GRPC_EXPERIMENTS": "one,-two"}
    choose_reading("direct", (), environ)
    assert environ == {"GRPC_EXPERIMENTS": f"one,-two,{DIRECT}"}


def test_an_address_that_cannot_be_resolved() -> None:
    """It is reported as where it is listened on."""
    with pytest.raises(ConfigError, match=r"--listen nowhere\.invalid:1: the host cannot be resolved"):
        choose_reading("auto", ("nowhere.invalid:1",), {})
