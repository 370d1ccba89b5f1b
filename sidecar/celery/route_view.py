"""The routes as the sidecar last sent them: which datacenter a task prefers, and which are out of service."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sidecar.client import AppRoute, FilterResult, RouteUpdate
from sidecar.routing.rendezvous import preference

_MAX_ANSWERS = 4096

AnswerKey = tuple[str, str, tuple[str, ...]]
"""A queue, the job that has a route of its own or "", and the datacenters in the order of preference."""


class RouteView:
    """One update of the routes for one application, and the sidecar's answers since.

    Everything in a decision but the order of a split's datacenters is the same for all keys of a route. So one answer
    for each order serves all tasks, and there are few of them. `epoch` is the client's, None for saved routes.
    """

    def __init__(self, application: str, update: RouteUpdate, epoch: int | None) -> None:
        self.update = update
        self.epoch = epoch
        self.answers: dict[AnswerKey, FilterResult] = {}
        # Whether a split's shares are taken by the instance, by queue and scope; learned from the first answer.
        self.by_instance: dict[tuple[str, str], bool] = {}
        self._application = application
        self._route = next((route for route in update.routes if route.app == application), update.default)
        self._jobs = {route.job: route for route in update.job_routes if route.app == application}
        self._out: dict[str, frozenset[str]] = {}
        for outage in update.outages:
            self._out[outage.app] = self._out.get(outage.app, frozenset()) | {outage.datacenter}
        self.datacenters: frozenset[str] = frozenset(
            [*update.datacenters, *(name for route in self._routes() for name in _names(route))]
        )

    def scope(self, job: str) -> str:
        """Return the job if the document has a route for it, else ""."""
        return job if job in self._jobs else ""

    def is_routed(self, scope: str) -> bool:
        """Return whether there is a route."""
        return bool(self._of(scope).weights)

    def order(self, scope: str, key: str) -> tuple[str, ...]:
        """Return the datacenters of the selector in the order in which a key prefers them."""
        weights = self._of(scope).weights
        if len(weights) < 2:
            return tuple(name for name, weight in weights if weight > 0)
        return tuple(preference(self._application, key, weights))

    def allows(self, scope: str, datacenter: str) -> bool:
        """Return whether a datacenter is in the route and in service."""
        route = self._of(scope)
        return datacenter not in self._out_of_service(scope) and (not route.weights or datacenter in _names(route))

    def choose(self, scope: str, order: Collection[str], workers: Mapping[str, int] | None) -> str:
        """Return the datacenter for an order of preference by the routes alone, "" for none.

        It is the first in service that has `min_workers` live workers, else any, where `workers` are known, by
        datacenter; else the first in service.
        """
        route = self._of(scope)
        out = self._out_of_service(scope)
        preferred = [name for name in dict.fromkeys([*order, *route.backups]) if name not in out]
        if workers:
            for least in (max(1, route.min_workers), 1):
                for name in preferred:
                    if workers.get(name, 0) >= least:
                        return name
        return preferred[0] if preferred else ""

    def first(self, scope: str, order: Collection[str]) -> str:
        """Return the datacenter to wait in where no worker may run a task: one in service, else the first."""
        return self.choose(scope, order, None) or next(iter([*order, *self._of(scope).backups]), "")

    def remember(self, key: AnswerKey, answer: FilterResult) -> None:
        """Keep an answer."""
        if len(self.answers) >= _MAX_ANSWERS:
            self.answers.clear()
        self.answers[key] = answer

    def forget_answers(self) -> None:
        """Forget the answers, as the workers have changed."""
        self.answers = {}

    def _of(self, scope: str) -> AppRoute:
        return self._jobs.get(scope, self._route) if scope else self._route

    def _out_of_service(self, scope: str) -> frozenset[str]:
        out = self._out.get("", frozenset()) | self._out.get(self._application, frozenset())
        return out | self._out.get(f"{self._application}/{scope}", frozenset()) if scope else out

    def _routes(self) -> list[AppRoute]:
        return [self.update.default, *self.update.routes, *self.update.job_routes]


def _names(route: AppRoute) -> tuple[str, ...]:
    return (*(name for name, weight in route.weights if weight > 0), *route.backups)
