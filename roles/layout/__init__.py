"""The folders, groups and record that all other roles need."""
