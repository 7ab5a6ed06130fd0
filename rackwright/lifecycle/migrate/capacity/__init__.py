"""`migrate capacity`: replay recorded traffic against one replica, and derive how many are needed."""
