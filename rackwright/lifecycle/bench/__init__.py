"""Load on a model's service, measured by guidellm. A library: `bench` and `verify --full` are its commands."""

from rackwright.lifecycle.bench.procedure import Benched, Listener, Wanted, bench, load_of, model_named

__all__ = ["Benched", "Listener", "Wanted", "bench", "load_of", "model_named"]
