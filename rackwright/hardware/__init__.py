"""What a host is made of, as its own programs tell it: pure parsers of lspci, nvidia-smi, /proc and the journal.

Nothing here talks to a host: `hardware.COMMAND` is one read-only shell script, `parse_hardware` reads its output.
"""
