"""Disposable hosts for the quick start, the tests and the benchmarks: podman containers that boot systemd.

`Lab(name).up(LabSpec())` returns a running `LabFleet`; `Lab(name).down()` removes all of it.
"""
