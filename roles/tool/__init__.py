"""The tool: rackwright itself on a control host, where it does what is due when nobody watches."""
