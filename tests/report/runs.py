"""Runs for reports."""

from __future__ import annotations

from rackwright.run import Outcome, Run, Step

DIFF = "--- a/etc/x\n+++ b/etc/x\n@@ -1 +1 @@\n-old\n+new ```"

PLAN = Run(
    (
        Step("gate1", "gateway", "Write the configuration", Outcome.UNCHANGED),
        Step("gpu1", "layout", "Make the folder", Outcome.UNCHANGED),
        Step("gpu1", "replica", "Write the unit", Outcome.WOULD_CHANGE, diff=DIFF),
        Step("gpu1", "replica", "Deliver the key", Outcome.WOULD_CHANGE, diff="content differs"),
    ),
    {"gpu2": "no route to host"},
)
APPLY = Run(
    (
        Step("gate1", "gateway", "Write the configuration", Outcome.UNCHANGED, 0.1),
        Step("gpu1", "replica", "Write the unit", Outcome.CHANGED, 1.23456, diff=DIFF),
        Step("gpu1", "replica", "Start it", Outcome.FAILED, output=("first", "\x1b[31mlast\x1b[0m\x07 line")),
        Step("gpu1", "probe", "Write the probe", Outcome.NOT_RUN),
    ),
    {"gpu2": "no route to host"},
    interrupted=True,
)
