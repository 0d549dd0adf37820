"""How equipment is read: wire to scan."""
