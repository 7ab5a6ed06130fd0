"""The folders, groups and record that everything else of ours stands on."""
