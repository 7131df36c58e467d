"""Stilton: a Python package index of your own.

Start reading at `app.py` (what hangs together) and docs/ARCHITECTURE.md (the map).
"""

__version__ = "7.0.0"
