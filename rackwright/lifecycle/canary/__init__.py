"""Canaries: the first replica that an update changes gets a part of the traffic before the others are updated."""
