"""The only way to the engines of one host: TLS, for gateways with a certificate of the fleet only."""
