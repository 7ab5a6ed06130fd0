"""A host's hardware, as its own programs report it: pure parsers of lspci, nvidia-smi, /proc and the journal.

Nothing here talks to a host: `hardware.COMMAND` is one read-only shell script, `parse_hardware` reads its output.
"""
