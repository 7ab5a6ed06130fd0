"""No core dumps: they would contain prompts, answers and keys."""
