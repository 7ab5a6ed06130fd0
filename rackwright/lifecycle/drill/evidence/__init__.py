"""The evidence of a drill: facts, conclusion, and the signed report that is chained to the one before."""
