"""Which heavy tests run: those that the change touches, and a rotating share of the others.

`reach` says what touches a file of tests, `git` what changed, `record` when each file last passed, `rotation` whose
turn it is. `choose` puts these together, and `python -m tests.heavy.need` shows the choice and runs it.
"""
