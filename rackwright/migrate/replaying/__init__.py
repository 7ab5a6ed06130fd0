"""What a replay decides, without a network: which requests, what is sent, what it may cost, what an answer says."""
