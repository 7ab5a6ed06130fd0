"""What decides a cutover: its state, and when its share may grow. Pure."""
