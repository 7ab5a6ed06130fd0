"""AppArmor at work, with the profiles that packages bring."""
