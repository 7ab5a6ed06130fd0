"""`migrate finish`: what the provider stores is deleted, and its key is removed; `certificate` and `recheck`."""
