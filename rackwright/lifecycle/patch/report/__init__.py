"""The report of a patch run, from its plan and the journal."""
