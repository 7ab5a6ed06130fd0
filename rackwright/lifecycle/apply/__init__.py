"""`rackwright plan` and `apply`: the hosts become what fleet file and lock say."""
