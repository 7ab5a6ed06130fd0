"""What a rollout may take down at this moment: the budgets of the fleet file, and what is down already."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from rackwright.lifecycle.rollout.change import Change, Paused, RolloutTraffic, Rules


@dataclass(frozen=True)
class Budget:
    traffic: RolloutTraffic
    rules: Rules
    size: Callable[[str], int]
    """Model → how many replicas it should have."""
    lost: Callable[[], Collection[str]]
    """The hosts that can't be reached now."""
    failed: Collection[Change] = ()
    """Changes that have failed: their hosts keep their slots until they serve as before."""
    unfinished: Collection[Change] = ()
    """Changes that an earlier run has left unfinished, and this one, too, so far."""

    def last_of(self, change: Change, others: Collection[Change]) -> frozenset[str]:
        """Return the models that no replica serves while this change and the `others` make theirs unavailable.

        Raise Paused if the change must not make them unavailable now.
        """
        last = set()
        serves = change.gateway and change.host is not None and self.traffic.takes_requests(change.host)
        for model in change.models:
            healthy = self.traffic.healthy(model)
            left = healthy - change.addresses - {address for other in others for address in other.addresses}
            if not left:
                last.add(model)
            if healthy & change.addresses:
                serves = True
                self._refuse_costly(change, model, len(left))
        if change.host and serves:
            self._refuse_hosts(change, change.host, others)
        return frozenset(last)

    def _refuse_costly(self, change: Change, model: str, left: int) -> None:
        if not left:
            if model in self.rules.outages:
                return
            raise Paused(
                f"is the last healthy replica of {model}: changing it would stop the service"
                if change.host is None
                else f"has the last healthy replica of {model}: changing the host would stop the service",
                where=change.subject,
                should="start another replica first, or allow planned downtime",
                next="run the same command with --allow-outage",
            )
        if (unavailable := self.size(model) - left) > self.rules.max_unavailable:
            raise Paused(
                f"{unavailable} of {self.size(model)} replicas of {model} would be unavailable",
                where=change.subject,
                should=f"rollout.max_unavailable is {self.rules.max_unavailable}",
                next="rackwright status",
            )

    def _refuse_hosts(self, change: Change, host: str, others: Collection[Change]) -> None:
        away = {one.host for one in (*others, *self.unfinished, *filter(self._stays_down, self.failed)) if one.host}
        down = {*self.lost(), *away, host}
        if len(down) > self.rules.max_hosts:
            raise Paused(
                f"{len(down)} hosts would be unavailable: {', '.join(sorted(down))}",
                where=change.subject,
                should=f"patch.max_unavailable is {self.rules.max_hosts}",
                next="rackwright status",
            )

    def _stays_down(self, change: Change) -> bool:
        if change.gateway and change.host and not self.traffic.takes_requests(change.host):
            return True
        healthy = {address for model in change.models for address in self.traffic.healthy(model)}
        missing = change.addresses - change.idle - healthy
        return bool(missing and missing - self.traffic.drained_manually())
