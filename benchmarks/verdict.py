"""How long a verdict takes, and how often it is wrong.

`time`: the verdict of 10,000 requests and 500 golden pairs, in a process that has decided nothing yet: numpy and scipy
are imported within it. Target: 5 s, median of runs; the ratio to it is printed.

`error`: 1,000 simulated pairs of each kind (tests/verdict/simulated.py), judged as the product does. Targets: of equal
candidates, and of those that are exactly as bad as is allowed in all nine comparisons, at most 5 % FAIL; of candidates
twice as slow, and of those with layers cut, at least 98 % do.

    python -m benchmarks.verdict [time] [error] [--runs 7] [--pairs 1000]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from statistics import median

from benchmarks.measure import environment, keep, whole

LIMIT = 5.0
"""Seconds."""
WRONG, RIGHT = 0.05, 0.98
_ONCE = """
import json, time
import_began = time.perf_counter()
from benchmarks.verdict import ten_thousand
evidence = ten_thousand()
from rackwright.verdict import decide
began = time.perf_counter()
found = decide(evidence)
requests = len(evidence.running.requests) + len(evidence.candidate.requests)
print(json.dumps([time.perf_counter() - began, requests, len(evidence.golden.pairs), found.word]))
"""
