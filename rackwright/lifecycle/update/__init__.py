"""`model update`, `model rollback`, `runtime update`, `model promote`: from one lock to the next, replica by replica."""
