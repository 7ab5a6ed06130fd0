"""Measure a model's service under load with guidellm. A library, used by the commands `bench` and `verify --full`."""

from rackwright.lifecycle.bench.procedure import Benched, Listener, Wanted, bench, load_of, model_named

__all__ = ["Benched", "Listener", "Wanted", "bench", "load_of", "model_named"]
