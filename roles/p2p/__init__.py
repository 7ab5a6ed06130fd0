"""Weights from host to host: what a host has ready for it. Between two transfers nothing runs and nothing listens."""
