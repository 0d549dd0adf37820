"""The alarm engine: everything that decides. Pure: no clock, no task, no I/O."""
