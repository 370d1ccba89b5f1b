"""Publishes dist/maven to a Maven repository: `python -m deploy.release.maven URL`.

MAVEN_USERNAME and MAVEN_PASSWORD are the credentials. Files of a version that the repository has already are an error:
a released version never changes.
"""

from __future__ import annotations

import base64
import os
import sys
import urllib.error
import urllib.request
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from deploy.release.dist import ROOT, NotReleasable

_TIMEOUT_S = 60.0


def main(url: str) -> int:
    """Publish; list the files. Return the exit code."""
    user, password = os.environ.get("MAVEN_USERNAME", ""), os.environ.get("MAVEN_PASSWORD", "")
    try:
        for name in publish(ROOT / "dist/maven", url.rstrip("/"), user, password):
            sys.stdout.write(f"{name}\n")
    except NotReleasable as error:
        sys.stderr.write(f"publish: {error}\n")
        return 1
    return 0


def publish(repository: Path, url: str, user: str, password: str) -> list[str]:
    """Upload every file but the metadata, which lists the versions and belongs to the server. Raises NotReleasable."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not _loopback(parts.hostname or ""):
        raise NotReleasable(f"found {url}, expected https: the password would be readable on the network")
    files = sorted(
        path for path in repository.rglob("*") if path.is_file() and not path.name.startswith("maven-metadata")
    )
    if not files:
        raise NotReleasable(f"{repository} is empty: run make dist first")
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    names = []
    # The POM last: with it a version is there for everyone.
    for path in sorted(files, key=lambda path: (".pom" in path.suffixes, path)):
        name = str(path.relative_to(repository))
        request = urllib.request.Request(  # noqa: S310 - checked above
            f"{url}/{name}", data=path.read_bytes(), method="PUT", headers={"Authorization": f"Basic {token}"}
        )
        try:
            urllib.request.urlopen(request, timeout=_TIMEOUT_S).close()  # noqa: S310
        except urllib.error.HTTPError as error:
            raise NotReleasable(f"{name}: the repository answers {error.code} {error.reason}") from error
        except OSError as error:
            raise NotReleasable(f"{name}: cannot reach {url}: {error}") from error
        names.append(name)
    return names


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
