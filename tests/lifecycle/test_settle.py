from __future__ import annotations

from types import SimpleNamespace

from rackwright.errors import HostError
from rackwright.lifecycle.settle import told_by_probes
from rackwright.remote.completed import Completed

STATES = b"""\
replica=a@1
ActiveState=active
Result=success
state=ready
replica=a@2
ActiveState=activating
Result=exit-code
ExecMainStatus=1
state=faulted
reason=it ended 3 times before it was ready
"""


class Hosts:
    def run_on(self, names, _command):
        answers = {"gpu1": Completed(0, STATES, b"", "gpu1"), "gpu2": HostError("unreachable", where="gpu2")}
        return {name: answers[name] for name in names}


def test_probes_say_what_keeps_a_replica_from_serving():
    places = ("gpu1/a@1", "gpu1/a@2", "gpu1/a@3", "gpu2/a@1")
    replicas = [SimpleNamespace(host=place.partition("/")[0], address=place) for place in places]
    said = "faulted: it ended 3 times before it was ready; exit-code, status 1"
    assert told_by_probes(Hosts(), replicas) == {"gpu1/a@2": said}
