"""The weights that one host keeps."""
