"""Secrets in URLs are masked, and what is none is shown."""

from __future__ import annotations

import json

import pytest

from sidecar.config.masking import has_password, masked_reactions, masked_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://app:s3cret@db/audit", "postgresql://app:…@db/audit"),
        ("postgresql://app:s3/cr@et@db:5432/audit?sslmode=require", "postgresql://app:…@db:5432/audit?sslmode=require"),
        ("postgresql://:s3cret@db/audit", "postgresql://:…@db/audit"),
        ("postgresql://app@db/audit?password=s3cret&sslmode=require", "postgresql://app@db/audit?…"),
        ("postgresql://app@db/audit?sslmode=require&sslpassword=s3cret", "postgresql://app@db/audit?…"),
        ("mssql://db/?odbc_connect=UID%3Dapp%3BPWD%3Ds3cret", "mssql://db/?…"),
        ("mysql://db/audit?passwd=s3cret", "mysql://db/audit?…"),
        ("mysql://u:s3cret@db/audit?auth_token=s3cret", "mysql://u:…@db/audit?…"),
    ],
)
def test_a_password_is_masked(url: str, shown: str) -> None:
    """In its place and in the query, under the names that drivers know."""
    assert has_password(url)
    assert masked_url(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://app@db:5432/audit?sslmode=require&passfile=/etc/pg",
        "sqlite:////var/lib/audit.db",
        "nacos://h1:8848,h2:8848/GROUP/DATA_ID?namespace=NS",
        "info",
        "10.1.0.0/16",
        "",
    ],
)
def test_what_is_no_secret_is_shown(url: str) -> None:
    """User, host and options stay."""
    assert not has_password(url)
    assert masked_url(url) == url


def test_of_a_webhook_the_host_is_shown() -> None:
    """Services of chats have the secret in the path; other keys lose passwords in URLs only."""
    reactions = [
        {"name": "chat", "webhook": "https://u:s3cret@hooks.example:8443/services/s3cret?token=s3cret", "timeout": "5"},
        {"name": "bad", "webhook": "https://[s3cret"},
        {"name": "odd", "webhook": ["s3cret"]},
        {"name": "work", "powerjob": ["http://a:s3cret@pj:7700"], "apps": ["billing"]},
        {"name": "run", "command": ["page", "--now"]},
        7,
    ]
    shown = masked_reactions(json.dumps(reactions))
    assert "s3cret" not in shown
    assert json.loads(shown) == [
        {"name": "chat", "webhook": "https://hooks.example:8443/…", "timeout": "5"},
        {"name": "bad", "webhook": "…"},
        {"name": "odd", "webhook": ["…"]},
        {"name": "work", "powerjob": ["http://a:…@pj:7700"], "apps": ["billing"]},
        {"name": "run", "command": ["page", "--now"]},
        7,
    ]
    assert masked_reactions("not JSON: s3cret") == "…"
