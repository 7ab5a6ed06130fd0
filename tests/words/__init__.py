"""Words that this project's text doesn't use, and what to write instead. `make lint` runs `python -m tests.words`."""
