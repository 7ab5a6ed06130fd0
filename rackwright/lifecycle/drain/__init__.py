"""`rackwright drain` and `undrain`: replicas taken out of the gateways by hand."""
