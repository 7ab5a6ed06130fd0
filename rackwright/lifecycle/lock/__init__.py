"""`rackwright lock`: resolve versions and files, and write them to NAME.lock."""
