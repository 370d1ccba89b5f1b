"""What the tests of this folder share: the image, and the tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deploy.container import require_namespaces
from tests.deploy.image import Image, build

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """Build the image once, as its Dockerfile says, with all sources."""
    require_namespaces()
    return build(
        ROOT / "deploy/docker/Dockerfile",
        ROOT,
        tmp_path_factory.mktemp("image"),
        {"VERSION": "9.8.7", "REVISION": "0123abc"},
    )
