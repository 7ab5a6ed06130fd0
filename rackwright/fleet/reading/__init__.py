"""From the bytes of a fleet file to its sections: YAML with line numbers, `extends` merged, rules checked."""
