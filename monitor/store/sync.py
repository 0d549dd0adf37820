"""What makes a file, or the names in a folder, outlive a loss of power."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Return when the file or folder ``path`` is on the disk; raises OSError when it refuses."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
