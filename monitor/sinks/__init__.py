"""Delivers what is committed: one sink per target, each with its own place in the record."""
