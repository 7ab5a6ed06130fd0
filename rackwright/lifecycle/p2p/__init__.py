"""Peer-to-peer transfer: copy weights from host to host before any traffic moves."""
