"""The commands of `rackwright migrate`."""
