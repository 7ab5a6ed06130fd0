"""`model update`, `rollback` and `promote`, `runtime update`: from one lock to the next, replica by replica."""
