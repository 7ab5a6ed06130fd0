"""Security updates that install themselves, but for what engines and GPUs run on."""
