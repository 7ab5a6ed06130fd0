"""`rackwright drain` and `undrain`: take replicas out of the gateways manually, and let them back in."""
