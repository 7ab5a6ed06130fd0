"""Deploys on hosts: planned, then applied. The only package that drives pyinfra.

    run = Runner(remote).plan(site, {"gpu1": model1, "gpu2": model2})      what would change, nothing is
    run = Runner(remote).apply(site, {"gpu1": model1, "gpu2": model2})     the same changes, made

A deploy is a function without arguments that reads its host's spec from `pyinfra.context.host.data.spec`.
"""

from rackwright.runner.progress import Progress
from rackwright.runner.questions import QuestionMemory
from rackwright.runner.runner import Runner

__all__ = ["Runner", "Progress", "QuestionMemory"]
