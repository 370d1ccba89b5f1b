"""Requests to Apollo's admin services, which know what the open API does not show: releases, and rules of gray ones."""

from __future__ import annotations

import time
from typing import Any

from sidecar.errors import AccessRefused, SourceError
from sidecar.sources.apollo.directory import ServiceDirectory
from sidecar.sources.apollo.settings import ApolloSettings
from sidecar.sources.apollo.url import ApolloAddress
from sidecar.sources.apollo.web import connection_to, json_of, unexpected


def admin_get(settings: ApolloSettings, path: str, deadline: float) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON at a path, from the first admin service that answers. Raises SourceError."""
    failures = []
    for address in ServiceDirectory(settings, "admin").addresses(max(deadline - time.monotonic(), 0.0)):
        try:
            return _ask(settings, address, path, max(deadline - time.monotonic(), 0.0))
        except AccessRefused:
            raise
        except SourceError as error:
            failures.append(str(error))
    raise SourceError(
        f"no admin service of Apollo answers, and only they list releases: {'; '.join(failures)}. A sidecar "
        "with a --state-dir has earlier documents too: dc-sidecar history"
    )


def _ask(settings: ApolloSettings, address: ApolloAddress, path: str, within: float) -> Any:  # noqa: ANN401 - JSON
    token = settings.admin_token.read()
    connection = connection_to(address, settings)
    try:
        headers = {"Authorization": token} if token else {}
        answer = connection.request("GET", address.path + path, headers=headers, within=within)
    finally:
        connection.close()
    if answer.status in {401, 403}:
        raise AccessRefused(
            f"the admin service {address} refuses the request ({answer.status}): set "
            "DC_SIDECAR_APOLLO_ADMIN_TOKEN_FILE to one of its admin-service.access.tokens"
        )
    if answer.status != 200:
        raise unexpected(address, answer)
    return json_of(answer)
