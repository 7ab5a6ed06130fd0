"""Peer-to-peer transfer: weights go from host to host before any traffic moves."""
