"""The daemon: judge, record, deliver, serve."""

VERSION = "0.1.0"
