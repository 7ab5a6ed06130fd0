"""The only way to one host's engines: TLS, and only for gateways with a certificate of the fleet."""
