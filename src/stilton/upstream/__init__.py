"""Other servers: one index upstream, its pages and files."""
