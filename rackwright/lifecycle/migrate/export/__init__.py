"""`migrate export`: fetch what is stored at the provider."""
