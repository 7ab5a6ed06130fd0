"""Files, folders and downloads on a host: whole or not there."""
