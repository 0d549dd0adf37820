"""Modbus by a client of our own: frame, plan and decode are pure, ``line`` does the I/O."""
