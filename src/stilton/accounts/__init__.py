"""Users and their indexes."""
