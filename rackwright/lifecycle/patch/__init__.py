"""`patch`: bring hosts' packages up to date, one host at a time, with a way back."""
