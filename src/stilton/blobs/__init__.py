"""Bytes of files, kept by their sha256."""
