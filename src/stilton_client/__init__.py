"""The `devpi` command: drives an index server over HTTP, ours or a devpi-server. It imports nothing from `stilton`."""

__version__ = "7.0.0"
