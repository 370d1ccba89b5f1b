"""Bounds of requests: what is refused, with which field, before it costs much."""

from __future__ import annotations

from contextlib import suppress
from unittest.mock import patch

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import BadRequest, NotServing
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.server import requests
from sidecar.server.decisions import DecisionHandler
from sidecar.server.large_requests import made
from sidecar.table import RoutingTable
from tests.views import view

DOCUMENT = b"default: {active: dc1, backups: [dc2]}\napps: {billing: dc2}"


def decisions(*, most: int = 3) -> DecisionHandler:
    """Return decisions by a document, of at most this many candidates."""
    table = RoutingTable()
    table.view = view(DOCUMENT)
    return DecisionHandler(table, max_candidates=most, memo_entries=10, memo_bytes=10_000)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.FilterWorkersRequest(), "app"),
        (pb.FilterWorkersRequest(app="x" * 257), "app"),
        (pb.FilterWorkersRequest(app="a", job="x" * 257), "job"),
        (pb.FilterWorkersRequest(app="a", instance="x" * 257), "instance"),
        (pb.FilterWorkersRequest(app="a", app_aliases=["b", "x" * 257]), "app_aliases[1]"),
        (pb.FilterWorkersRequest(app="a", app_aliases=["b"] * 17), "app_aliases"),
        (pb.FilterWorkersRequest(app="a", candidates=[pb.Worker()] * 4), "candidates"),
    ],
)
def test_a_bad_request_names_its_field(request_: pb.FilterWorkersRequest, field: str) -> None:
    """Each bound that is broken is reported with the field that breaks it."""
    with pytest.raises(BadRequest) as refused:
        decisions().answer(request_.SerializeToString())
    assert refused.value.field == field


def test_what_is_just_within_the_bounds_is_answered() -> None:
    """The bounds themselves are allowed, counted in characters and not in bytes."""
    request = pb.FilterWorkersRequest(
        app="é" * 256, job="é" * 256, instance="é" * 256, app_aliases=["é" * 256] * 16, candidates=[pb.Worker()] * 3
    )
    response = pb.FilterWorkersResponse.FromString(made(decisions().answer(request.SerializeToString())))
    assert response.reason == pb.REASON_NO_WORKERS


def test_text_that_is_no_utf8_is_no_request() -> None:
    """Bytes in a text field that are no UTF-8 make the whole request undecodable."""
    with pytest.raises(BadRequest, match=r"request: found 4 bytes that are no dcsidecar\.v1\.FilterWorkersRequest"):
        decisions().answer(b"\x0a\x02\xff\xfe")


@given(st.binary(max_size=200))
def test_any_bytes_are_answered_or_refused(request: bytes) -> None:
    """Nothing but BadRequest comes of any bytes."""
    with suppress(BadRequest):
        pb.FilterWorkersResponse.FromString(made(decisions().answer(request)))


def test_without_a_document_the_source_is_told() -> None:
    """The error of a call that cannot be decided says how the source stands, and why."""
    with pytest.raises(NotServing, match="the source is CONNECTING: not read yet"):
        DecisionHandler(RoutingTable(), max_candidates=1, memo_entries=0, memo_bytes=0).answer(b"")


def test_too_many_candidates_are_counted_before_they_are_decoded() -> None:
    """A big request of millions of empty candidates is refused without making them; a lawful one is let through."""
    most = 100_000
    head = pb.FilterWorkersRequest(app="a", indices_only=True, app_aliases=["b"]).SerializeToString()
    requests.check_candidates(head + b"\x22\x00" * most + bytes(2), most)
    worker = pb.FilterWorkersRequest(
        candidates=[pb.Worker(address="10.0.0.1:27777", tag="x" * 300)]
    ).SerializeToString()
    requests.check_candidates(head + worker * 10_000, most)
    with pytest.raises(BadRequest, match="candidates: found more than 100000"):
        requests.check_candidates(head + b"\x22\x00" * 8_000_000, most)


@given(st.binary(min_size=4, max_size=100), st.integers(0, 2))
def test_counting_agrees_with_decoding(request: bytes, most: int) -> None:
    """Any bytes can be counted, and those that are a request are refused exactly if it has too many candidates."""
    with patch.object(requests, "_COUNTED_FROM", 0):
        try:
            requests.check_candidates(request, most)
        except BadRequest:
            counted = True
        else:
            counted = False
    with suppress(DecodeError):
        assert counted == (len(pb.FilterWorkersRequest.FromString(request).candidates) > most)
