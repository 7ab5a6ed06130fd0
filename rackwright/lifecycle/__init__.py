"""The procedures: several runs over the hosts, with checks in between. One file or folder per command."""
