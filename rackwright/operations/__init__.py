"""The few operations and facts that pyinfra lacks. Keyword arguments only; a satisfied operation runs nothing."""
