"""A text of the key, read once: its values, where they stand, and the routing document that they make."""

from __future__ import annotations

from dataclasses import dataclass, field

from sidecar.errors import DocumentRejected
from sidecar.footprint import BYTE_OF_TEXT, UNLIMITED, Footprint
from sidecar.routing.document import MAX_BYTES, document_of, read_tree, revision_of
from sidecar.routing.model import RoutingDocument
from sidecar.yaml_reader import ParseRecord, Tree, trace


@dataclass(frozen=True, slots=True)
class ParsedText:
    """A text and its meaning: a valid `document`, or a `refusal` that says why there is none.

    `tree` is None where the text cannot be read at all. `record` has the parser's events and the places of entries; it
    is empty for a bare word, and ends early for JSON (`is_json`) that YAML's parser cannot read.
    """

    text: bytes
    tree: Tree = None
    document: RoutingDocument | None = None
    refusal: DocumentRejected | None = None
    is_json: bool = False
    record: ParseRecord = field(default_factory=ParseRecord, repr=False, compare=False)

    @property
    def revision(self) -> str:
        """The revision of the text."""
        return revision_of(self.text)

    @property
    def decoded(self) -> str:
        """The text without its byte order mark, for one that has a `tree`."""
        return self.text.decode().removeprefix("\ufeff")


def parse_text(text: bytes, *, max_bytes: int = MAX_BYTES, budget: int = UNLIMITED) -> ParsedText:
    """Parse a text, valid or not, in one pass; JSON takes one of JSON's own beside it.

    One that needs more than `budget` bytes of memory is refused, as by `parse_document`.
    """
    record, footprint = ParseRecord(), Footprint(budget, len(text) * BYTE_OF_TEXT)
    try:
        tree = read_tree(text, max_bytes=max_bytes, record=record, footprint=footprint)
    except DocumentRejected as refusal:
        return ParsedText(text, refusal=refusal)
    is_json = not record.events and not isinstance(tree, str)
    if is_json:
        record = trace(text.decode().removeprefix("\ufeff"))
    try:
        return ParsedText(text, tree, document_of(text, tree, footprint=footprint), is_json=is_json, record=record)
    except DocumentRejected as refusal:
        return ParsedText(text, tree, refusal=refusal, is_json=is_json, record=record)
