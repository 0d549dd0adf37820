"""What a container may forbid its tests, though every tool is there.

A tool that is missing fails a test; a kernel that says no is no fault of the tree, so such a test
is skipped, aloud: the closing line counts it and the summary says what was forbidden.
"""

import subprocess
from collections.abc import Mapping, Sequence

import pytest


def skip_where_forbidden(
    what: str, command: Sequence[str], environment: Mapping[str, str] | None = None
) -> None:
    """Skip the test that runs where ``command``, which only tries it, does not end well."""
    tried = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    if tried.returncode:
        pytest.skip(f"this machine forbids {what}: {tried.stderr.strip()}")
