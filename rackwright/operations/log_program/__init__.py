"""Parts of the programs that read a gateway's access log there, with the host's own Python and nothing else."""
