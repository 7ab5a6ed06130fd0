"""Control hosts: the members of their etcd, and moving lease and journal to other hosts."""
