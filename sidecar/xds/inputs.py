"""The inputs of xDS resources."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.routing.state import State
from sidecar.xds.endpoints import Endpoints


@dataclass(frozen=True, slots=True)
class Inputs:
    """A State, and the endpoints of applications; these are None where no file has them."""

    state: State
    endpoints: Endpoints | None = None

    def same(self, other: Inputs | None) -> bool:
        """Return whether resources of both are the same; their parts are not compared by content."""
        return other is not None and self.state is other.state and self.endpoints is other.endpoints

    @property
    def version(self) -> str:
        """The document's revision, a number for what the clock and checks changed, and the revision of the file."""
        version = f"{self.state.document.revision}.{self.state.generation}"
        return version if self.endpoints is None else f"{version}.{self.endpoints.revision}"
