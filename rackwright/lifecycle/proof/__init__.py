"""The proof of one replica: it runs what the lock says, and gives the answer that is recorded for its kind."""
