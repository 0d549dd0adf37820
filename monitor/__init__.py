"""The daemon: judge, record, deliver, serve."""
