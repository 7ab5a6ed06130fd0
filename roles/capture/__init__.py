"""The unit that redacts, encrypts and keeps the requests which a gateway records for a migration."""
