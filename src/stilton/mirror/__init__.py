"""Mirrors: another index's pages and files, kept here."""
