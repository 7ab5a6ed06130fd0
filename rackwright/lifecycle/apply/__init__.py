"""`rackwright plan` and `apply`: bring the hosts to what fleet file and lock say."""
