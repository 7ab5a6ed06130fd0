"""Who fails to log in again and again is shut out for a while."""
