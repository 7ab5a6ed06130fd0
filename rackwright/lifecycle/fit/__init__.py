"""`rackwright fit`: which models fit where they are placed."""
