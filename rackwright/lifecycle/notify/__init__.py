"""Notices of what commands do, sent to the webhooks and mail addresses of the fleet file."""
