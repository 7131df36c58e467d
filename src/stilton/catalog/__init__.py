"""Projects and files as seen through an index: what a door may ask for."""
