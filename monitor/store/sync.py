"""What makes a file, or the names in a folder, outlive a loss of power.

The names in a folder come to the disk in any order until it is synced: a step that must not be
there without another is taken after a sync.
"""

import os
from contextlib import suppress
from pathlib import Path


def sync(path: Path) -> None:
    """Return when the file or folder ``path`` is on the disk; raises OSError when it refuses."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Return when there is a folder ``path`` on the disk, for our user alone where it is new.

    Raises OSError when the disk refuses.
    """
    new = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for each in new:
        sync(each.parent)
    if not new:  # Whoever made it may have been killed; but it can be a mount, or not ours to sync.
        with suppress(OSError):
            sync(path.parent)
