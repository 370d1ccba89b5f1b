"""The stock server 4.3.9, whose starter is on Maven Central, as it runs in a container: by a user without a name."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from tests.powerjob.scheduler import Scheduler

if TYPE_CHECKING:
    from pathlib import Path

    from tests.powerjob.build import Artifacts

# In no passwd file; the JVM finds no home directory for it, and takes "?".
NOBODY = 12_345
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")


def readable(jar: Path, folder: Path) -> Path:
    """Return a jar in a folder that every user may enter: the cache is in root's home directory."""
    link = folder / jar.name
    try:
        link.hardlink_to(jar)
    except OSError:
        shutil.copyfile(jar, link)
    return link


class StockServer(Scheduler):
    """The released web layer, configured by properties only, as its own documentation says."""

    _prefix = AS_NOBODY

    def __init__(self, artifacts: Artifacts, folder: Path, **settings: str) -> None:
        properties = {
            "spring.profiles.active": "product",
            "server.address": "127.0.0.1",
            "oms.transporter.active.protocols": "HTTP",
            "spring.datasource.core.driver-class-name": "org.h2.Driver",
            "spring.datasource.core.username": "sa",
            "spring.datasource.core.password": "",
            "spring.datasource.remote.hibernate.properties.hibernate.dialect": "org.hibernate.dialect.H2Dialect",
            "oms.storage.dfs.mysql_series.url": "",
            "spring.autoconfigure.exclude": ",".join(
                f"org.springframework.boot.autoconfigure.{name}AutoConfiguration"
                for name in ("mongo.Mongo", "data.mongo.MongoData", "mail.MailSender")
            ),
        }
        folder.mkdir()
        super().__init__(artifacts, folder, database=folder / "database", **properties, **settings)
        plugin = folder / "plugins" / artifacts.server.name
        plugin.unlink()
        readable(artifacts.server, plugin.parent)
        for path in (folder, *folder.iterdir()):
            if path.is_dir():
                path.chmod(0o777)

    def _jar(self, artifacts: Artifacts) -> Path:
        return readable(artifacts.server_4, self.folder)

    def register_app(self, name: str) -> int:
        form = json.dumps({"appName": name, "password": "password"}).encode()
        self._post_to("appInfo/save", form, "application/json")
        return int(
            self._post_to(
                "openApi/assert", f"appName={name}&password=password".encode(), "application/x-www-form-urlencoded"
            )
        )
