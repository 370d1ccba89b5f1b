"""The options of an Apollo source."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.errors import ConfigError, SourceError
from sidecar.sources.apollo.settings import settings_from
from sidecar.sources.apollo.url import parse

KEY = parse("apollo://meta/100004458/default/routing.yaml")


def test_signs_as_apollo_does() -> None:
    """The example of Apollo's own SignatureTest, com.ctrip.framework.apollo.core.signature."""
    settings = settings_from(KEY, {"apollo-access-key": "df23df3f59884980844ff3dada30fa97"})
    signed = settings.signature("/configs/100004458/default/application?ip=10.0.0.1", 1576478257344)
    assert signed == {
        "Authorization": "Apollo 100004458:EoKyziXvKqzHgwx+ijDJwgVTDgE=",
        "Timestamp": "1576478257344",
    }
    assert settings_from(KEY, {}).signature("/", 1) == {}


def test_a_rotated_access_key_is_read_again(tmp_path: Path) -> None:
    """The file is read for each signature; a file that is gone is an error that names it."""
    file = tmp_path / "key"
    file.write_text("one\n")
    settings = settings_from(KEY, {"apollo-access-key": "stale", "apollo-access-key-file": str(file)})
    first = settings.signature("/", 1)
    file.write_text("two\n")
    assert settings.signature("/", 1) != first
    file.unlink()
    with pytest.raises(SourceError, match=str(file)):
        settings.signature("/", 1)


@pytest.mark.parametrize(
    ("cluster", "data_center", "searched"),
    [
        ("default", "", ("default",)),
        ("default", "dc1", ("dc1", "default")),
        ("blue", "dc1", ("blue", "dc1", "default")),
        ("dc1", "dc1", ("dc1", "default")),
    ],
)
def test_clusters_are_searched_in_apollos_order(cluster: str, data_center: str, searched: tuple[str, ...]) -> None:
    """The URL's, that of the data center, the default one last: AbstractConfigService.loadConfig."""
    settings = settings_from(parse(f"apollo://meta/a/{cluster}/n.yaml"), {"apollo-data-center": data_center})
    assert settings.ordinary_clusters() == searched


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"apollo-portal": "http://p:8070"}, "without apollo-token-file"),
        ({"apollo-token": "t"}, "without apollo-portal"),
        ({"apollo-portal": "p:8070", "apollo-token": "t"}, "apollo-portal is not the URL"),
        ({"apollo-key": "/k"}, "without apollo-cert"),
        ({"apollo-ca": "/nowhere"}, "cannot be used"),
    ],
)
def test_options_that_need_others_are_refused_without(options: dict[str, str], message: str) -> None:
    """Half of a pair, or a file that is not there, is an error when the source is opened."""
    with pytest.raises(ConfigError, match=message):
        settings_from(KEY, options)
