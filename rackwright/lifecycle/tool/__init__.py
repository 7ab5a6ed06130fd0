"""The tool on a control host: which fleet it works on, and whether it is the version that the fleet has applied."""
