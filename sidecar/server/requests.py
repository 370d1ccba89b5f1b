"""Decodes requests, and checks their bounds: BadRequest names the field that exceeds one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from sidecar.errors import BadRequest

M = TypeVar("M", bound=Message)

MAX_NAME = 256
MAX_ALIASES = 16
MAX_WATCHED = 10_000

# A request below this size is decoded before its candidates are counted: its memory is bounded anyway.
_COUNTED_FROM = 1024 * 1024
_CANDIDATE_TAG = 0x22


def read(kind: type[M], request: bytes) -> M:
    """Decode a message. Raises BadRequest for malformed bytes, text that is not UTF-8 included."""
    try:
        return kind.FromString(request)
    except DecodeError:
        name = kind.DESCRIPTOR.full_name
        raise BadRequest("request", f"found {len(request)} bytes that are no {name} message") from None


def encoded(message: Message) -> bytes:
    """Return the bytes of a message."""
    return message.SerializeToString()


def check_name(field: str, name: str) -> None:
    """Raise BadRequest for a name that is longer than any name in a routing document can be."""
    if len(name) > MAX_NAME:
        raise BadRequest(field, f"found {len(name)} characters, expected at most {MAX_NAME}")


def check_names(field: str, names: Iterable[str], most: int) -> None:
    """Raise BadRequest for too many names, or one that is too long."""
    for index, name in enumerate(names):
        if index == most:
            raise BadRequest(field, f"found more than {most} names, expected at most {most}")
        check_name(f"{field}[{index}]", name)


def check_candidates(request: bytes, most: int) -> None:
    """Raise BadRequest for a big request that has more candidates than `most`, before decoding takes memory for them.

    An empty candidate takes 2 bytes on the wire and about 100 when decoded. Bytes that are no message pass: decoding
    finds them.
    """
    if len(request) < max(_COUNTED_FROM, 2 * most):
        return
    count = position = 0
    end = len(request)
    while position < end:
        tag, position = _varint(request, position)
        if tag & 7 == 2:
            length, position = _varint(request, position)
            position += length
        elif tag & 7 == 0:
            _, position = _varint(request, position)
        else:
            return
        if tag == _CANDIDATE_TAG:
            count += 1
            if count > most:
                raise too_many_candidates(most)


def too_many_candidates(most: int) -> BadRequest:
    """Return the error of a request with more candidates than `most`."""
    return BadRequest("candidates", f"found more than {most}, expected at most {most}: split the request")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Return the number at a position and where it ends; past the end of the data the number is 0."""
    value = shift = 0
    while position < len(data):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80 or shift > 63:
            break
        shift += 7
    return value, position
