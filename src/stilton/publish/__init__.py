"""What people publish: uploads, pushes, removals."""
