"""`migrate review`: what was promised before a cutover, against what is measured now."""
