"""The procedures: several runs over the hosts with checks between. One file a verb."""
