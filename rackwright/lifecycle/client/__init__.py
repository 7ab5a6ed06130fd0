"""Requests to the gateways, sent as a client would."""
