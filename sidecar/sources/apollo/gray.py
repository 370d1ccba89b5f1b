"""The gray release beside the ordinary one, and who gets it."""

from __future__ import annotations

import contextlib
import time

from sidecar.errors import SourceError
from sidecar.sources.apollo.admin import admin_get
from sidecar.sources.apollo.open_api import Portal
from sidecar.sources.apollo.settings import ApolloSettings, PortalSettings
from sidecar.sources.apollo.web import path_of
from sidecar.sources.base import Gray

_RULES_TIMEOUT_S = 2.0
_KINDS = ("clientIpList", "clientLabelList")


def released_gray(settings: ApolloSettings, portal: PortalSettings, timeout: float) -> Gray | None:
    """Return the gray release in force, with the addresses and labels of its rules where an admin service answers.

    The open API of Apollo 2.4 answers with rules that have no items. Raises SourceError.
    """
    deadline = time.monotonic() + timeout
    api = Portal(settings, portal, deadline)
    cluster, _ = api.in_force()
    branch = api.gray_branch(cluster)
    if not branch:
        return None
    key = settings.key
    path = path_of("apps", key.app, "clusters", cluster, "namespaces", key.namespace, "branches", branch, "rules")
    rules: object = None
    with contextlib.suppress(SourceError):
        rules = admin_get(settings, path, min(deadline, time.monotonic() + _RULES_TIMEOUT_S))
    rows = rules.get("ruleItems") if isinstance(rules, dict) else None
    clients = (str(client) for row in rows or () for kind in _KINDS for client in row.get(kind) or ())
    return Gray(branch, tuple(sorted(filter(None, clients))))
