"""HTTP in, HTTP out. Doors ask workers; they never open a toolbox."""
