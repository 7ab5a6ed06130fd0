"""The people who may log in to the host, their keys and rights; people who left lose access immediately."""
