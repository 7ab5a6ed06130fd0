"""The program that keeps a gateway's ledger. It runs there, with the host's own Python and nothing else."""
