"""From what one replica does to what all of clients' traffic needs."""

from __future__ import annotations

from rackwright.fleet.fleet import Replica
from rackwright.migrate.capacity.busiest import LENGTHS, Arrivals, Window, busiest
from rackwright.migrate.capacity.result import Extrapolated, Measured
from rackwright.migrate.capacity.sizing import at_a_time, sizing
from rackwright.migrate.plan.plan import Capacity


def extrapolate(
    rules: Capacity, arrivals: Arrivals, window: Window, measured: Measured, replica: Replica
) -> Extrapolated:
    """Return it. Without a good rate, it has only the peaks."""
    peak, times = window.whole_rate, arrivals.times
    # A window that is longer than the records would say that little is asked.
    lengths = [seconds for seconds in LENGTHS if seconds <= max(window.seconds, times[-1] - times[0])]
    peaks = {str(seconds): busy.whole_rate for seconds in lengths if (busy := busiest(arrivals, seconds))}
    known = Extrapolated(
        sampled=100 * window.requests / window.weight,
        peak=peak,
        peaks=peaks,
        headroom=rules.headroom,
        spare=rules.spare,
    )
    if not measured.goodput or measured.latency is None:
        return known
    gpus = replica.gpus * len(replica.hosts)
    size = sizing(peak, measured.goodput, headroom=rules.headroom, spare=rules.spare, gpus=gpus)
    together = at_a_time(peak / size.busy, measured.latency)
    return known.model_copy(
        update={"busy": size.busy, "replicas": size.replicas, "gpus": size.gpus, "at_a_time": together}
    )
