"""Plan and apply deploys on hosts. The only package that drives pyinfra.

    run = Runner(remote).plan(site, {"gpu1": model1, "gpu2": model2})      shows what would change
    run = Runner(remote).apply(site, {"gpu1": model1, "gpu2": model2})     makes these changes

A deploy is a function without arguments that reads its host's spec from `pyinfra.context.host.data.spec`.
"""

from rackwright.runner.progress import Progress
from rackwright.runner.questions import QuestionMemory
from rackwright.runner.runner import Runner

__all__ = ["Runner", "Progress", "QuestionMemory"]
