"""Who used how much: tokens, requests and times, by day, key, owner and model; and quotas over all gateways."""
