"""Settings that the tests of serving roles share."""

from __future__ import annotations

from rackwright.roles.llama_cpp.settings import Settings as LlamaCpp
from rackwright.roles.model_store.settings import Settings as ModelStore
from rackwright.roles.model_store.settings import StoredModel
from rackwright.roles.probe.settings import Settings as Probe
from rackwright.roles.replica.settings import Settings as Replica
from rackwright.values.file import File

RUNTIME = LlamaCpp(kind="llama_cpp", version="b10434")
WEIGHTS = File(path="m.gguf", size=10, sha256="a" * 64, url="https://huggingface.co/o/r/resolve/c/m.gguf?x=signed")
MODEL = StoredModel(name="assistant", digest="d" * 64, files=(WEIGHTS,))
STORE = ModelStore(models=(MODEL,))
REPLICA = Replica(
    name="assistant@1",
    model="assistant",
    user="rw-assistant",
    command=("/opt/run", "50% of $HOME", 'a "quote"'),
    readable=("/opt/rackwright/runtimes/llama_cpp-b10434", "/srv/models/assistant/dddddddddddddddd"),
    mount="/srv/models",
    stop_seconds=600,
)
PROBE = Probe(
    replica=REPLICA.name,
    unit=REPLICA.unit,
    socket=REPLICA.socket,
    served_name="assistant",
    counter=RUNTIME.counter,
    busy=RUNTIME.busy,
    agent_port=18100,
)
