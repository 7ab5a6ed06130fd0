"""From the fleet file's questions to the lock's answers: hubs, package indexes, archives. Downloads happen here only."""
