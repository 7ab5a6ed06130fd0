"""What clients ask at present, replayed to both sides and scored."""
