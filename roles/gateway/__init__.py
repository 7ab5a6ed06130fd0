"""Where clients come in: TLS, API keys, model routing, one access log."""
