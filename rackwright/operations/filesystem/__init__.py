"""Files, folders and downloads on a host: complete or absent, never partial."""
