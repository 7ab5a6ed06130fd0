"""How many replicas and GPUs the recorded traffic needs, from what one replica was measured to do. Pure."""
