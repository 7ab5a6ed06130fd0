"""The few pyinfra operations and facts that pyinfra lacks. Keywords only; what is satisfied runs nothing."""
