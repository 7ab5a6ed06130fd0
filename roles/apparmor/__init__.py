"""AppArmor, with the profiles that packages install."""
