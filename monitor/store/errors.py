"""What the store raises."""


class StoreError(Exception):
    """The store cannot be opened, or can no longer be trusted; the text says what to do.

    Once raised by a commit it is raised by every call that follows: after a failed fsync nobody
    knows what is on the disk, and only opening it anew tells. The process is to end.
    """


class DiskFullError(StoreError):
    """There was no room, and nothing of it was written; it may be tried again."""
