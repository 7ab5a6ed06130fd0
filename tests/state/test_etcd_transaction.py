"""What etcdctl makes of a transaction's text: any value comes back as it was."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rackwright.state.etcd.etcd_store import EtcdStore
from rackwright.state.etcd.transaction import LEASE, NOW, Transaction, put
from tests.etcd_cluster import Cluster

_ODD = st.sampled_from(
    [
        "",
        "-x",
        "--lease=1",
        '"',
        "\\",
        "\\n",
        "\n",
        "\n\n",
        "\r",
        "\0",
        "'",
        "' '",
        "\x85",
        "\u2028",
        LEASE,
        NOW,
        "\ufeff",
    ]
)
_VALUES = st.lists(st.lists(_ODD | st.text(), max_size=4).map("".join), min_size=1, max_size=60)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(values=_VALUES)
def test_any_value_comes_back_as_it_was(cluster: Cluster, etcd_store: EtcdStore, values: list[str]) -> None:
    cluster.empty()
    keys = [f"/rackwright/any/{number:02}" for number in range(len(values))]
    written = Transaction(then=tuple(map(put, keys, values)))
    assert '"succeeded":true' in cluster.members[0].run("txn", "-w", "json", stdin=written.text).stdout
    assert list(etcd_store.read_all("any").values()) == values


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(name=st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_a_document_of_any_name_comes_back(etcd_store: EtcdStore, name: str) -> None:
    etcd_store.put(f"any/{name}", name)
    assert etcd_store.read(f"any/{name}") == name
