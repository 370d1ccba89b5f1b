"""The configurations on the pages of docs/followers, each under the name in the comment before it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
_NAMED = re.compile(r"^<!-- (\S+) -->\n```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> dict[str, str]:
    """Return the named blocks of a page as they stand there."""
    return dict(_NAMED.findall((ROOT / "docs/followers" / page).read_text(encoding="utf-8")))
