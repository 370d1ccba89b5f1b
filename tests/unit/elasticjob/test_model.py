"""What ElasticJob writes into its registry center."""

from __future__ import annotations

import pytest

from sidecar.elasticjob.model import instance_of, read_fields
from sidecar.routing.candidates import Worker


@pytest.mark.parametrize(
    ("registration", "expected"),
    [
        (
            'jobInstanceId: 10.0.0.1@-@17\nlabels: \'{"datacenter":"dc1"}\'\nserverIp: 10.0.0.1\n',
            Worker("10.0.0.1:17", metrics='{"datacenter":"dc1"}'),
        ),
        ("jobInstanceId: 10.0.0.1@-@17\nlabels: gpu,dc1\nserverIp: 10.0.0.9\n", Worker("10.0.0.9:17", tag="gpu,dc1")),
        ("jobInstanceId: 10.0.0.1@-@17\nlabels: null\n", Worker("10.0.0.1:17")),
        ("!!org.apache.JobInstance {labels: dc1}", Worker("10.0.0.1:17", tag="dc1")),
        ("", Worker("10.0.0.1:17")),
    ],
)
def test_an_instance_is_what_the_adapter_sends(registration: str, expected: Worker) -> None:
    """Address with the process in place of a port; labels are metrics if they are an object, else tags."""
    assert instance_of("10.0.0.1@-@17", registration) == expected


def test_an_identity_without_a_process_is_its_address() -> None:
    """Another identity than ElasticJob's own."""
    assert instance_of("10.0.0.1", "") == Worker("10.0.0.1")


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "- a", "{" * 2000, "\x00", "plain"])
def test_what_cannot_be_read_has_no_fields(text: str) -> None:
    """Anybody with access to ZooKeeper can write there."""
    assert read_fields(text) == {}


def test_fields_are_texts() -> None:
    """Nested values and nulls are left out."""
    assert read_fields("cron: 0/1 * * * * ?\nshardingTotalCount: 3\nprops: {a: b}\nlabel: null\n") == {
        "cron": "0/1 * * * * ?",
        "shardingTotalCount": "3",
    }
