"""A role sets up one thing on one host. It knows only its settings: no fleet, no other role, no host."""
