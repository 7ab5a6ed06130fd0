"""The gateway that clients connect to: TLS, API keys, model routing, one access log."""
