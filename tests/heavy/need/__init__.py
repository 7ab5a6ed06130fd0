"""Which heavy tests run: those that the change touches, and a rotating share of the others.

`reach` says what touches a test file, `git` what changed, `record` when each file last passed, and `rotation` which
files are next. `choose` puts these together, and `python -m tests.heavy.need` shows the choice and runs it.
"""
