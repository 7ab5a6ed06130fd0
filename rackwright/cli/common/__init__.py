"""What every command shares: options, context, questions, outcome."""
