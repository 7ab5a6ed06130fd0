"""Prepares a host for peer-to-peer transfers of weights. Between transfers nothing runs and nothing listens."""
