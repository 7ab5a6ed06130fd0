"""Driver and kernel as one set: the module is built before a kernel boots, the packages are on hold, the driver stays
loaded, and the fabric is complete before engines start."""
