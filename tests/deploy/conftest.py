"""What the tests of this folder share: the image, and the tools."""

from __future__ import annotations

import fcntl
import pickle
from pathlib import Path

import pytest

from tests.deploy.container import require_namespaces
from tests.deploy.image import Image, build
from tests.servers.shared import session_folder

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """Build the image as its Dockerfile says, with all sources: once, for all workers of the session."""
    require_namespaces()
    session = session_folder(tmp_path_factory)
    with (session / "image.pickle").open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        if made := file.read():
            image = pickle.loads(made)  # written below
            assert isinstance(image, Image)
            return image
        folder = session / "image"
        folder.mkdir()
        image = build(ROOT / "deploy/docker/Dockerfile", ROOT, folder, {"VERSION": "9.8.7", "REVISION": "0123abc"})
        file.write(pickle.dumps(image))
        return image
