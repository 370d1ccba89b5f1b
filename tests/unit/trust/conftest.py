"""Signers that tests share: their keys are made once."""

from __future__ import annotations

import pytest

from tests.ssh_keys import Signer


@pytest.fixture(scope="session")
def alice(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    """Return a signer."""
    return Signer(tmp_path_factory.mktemp("keys"), "alice")


@pytest.fixture(scope="session")
def bob(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    """Return a signer with an ECDSA key."""
    return Signer(tmp_path_factory.mktemp("keys"), "bob", "ecdsa")


@pytest.fixture(scope="session")
def carol(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    """Return a signer with an RSA key."""
    return Signer(tmp_path_factory.mktemp("keys"), "carol", "rsa")
