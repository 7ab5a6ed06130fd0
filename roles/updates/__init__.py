"""Automatic security updates for all packages except those that engines and GPUs run on."""
