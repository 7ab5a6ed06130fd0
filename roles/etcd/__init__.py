"""One control host's member of etcd, which agrees with the others on lease and journal."""
