"""`rackwright model prune`: weights that nothing needs any more."""
