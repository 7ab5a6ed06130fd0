"""The weights that one host stores."""
