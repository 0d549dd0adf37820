"""What a site may write: pure data, its loading and its checking.

Imports no wire library and does no network I/O.
"""
