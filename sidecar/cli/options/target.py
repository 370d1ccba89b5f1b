"""The target of a change: the key, its namespace and the context, as prompts and reports name it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A key by its URL, and its context ("" where it has none), which may be of `production`."""

    url: str
    context: str = ""
    production: bool = False

    @property
    def namespace(self) -> str:
        """The namespace of the config center, "" where it has none: in Nacos a URL without one means `public`."""
        parts = urlsplit(self.url)
        return (
            parse_qs(parts.query).get("namespace", ["public"])[0] if parts.scheme in {"nacos", "nacos+endpoint"} else ""
        )

    def __str__(self) -> str:
        places = [self.url]
        if self.namespace:
            places.append(f"namespace {self.namespace}")
        if self.context:
            places.append(f"context {self.context}")
        return ", ".join(places)
