"""`rackwright verify`: prove the service from the clients' side."""
