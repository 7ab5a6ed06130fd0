"""How one thing gets onto one host. A role knows its settings: no fleet, no other role, no host."""
