"""What was promised before a cutover, against what is measured."""
