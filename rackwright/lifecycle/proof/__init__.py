"""The proof of one replica: it runs what the lock says, and answers as such engines did before."""
