"""`rackwright fit`: which models fit on the hosts where they are placed."""
