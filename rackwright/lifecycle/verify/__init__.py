"""`rackwright verify`: the service proven from where clients are."""
