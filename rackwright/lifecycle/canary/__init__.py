"""A canary: the first replica that an update changes is tried on a part of the traffic before the others follow."""
