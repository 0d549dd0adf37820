"""Who keeps the machine's clock, asked whether he does: chrony and systemd-timesyncd.

The kernel knows it too, but a service with ``ProtectClock`` may not ask it. chrony's protocol is
that of its own ``chronyc tracking`` (version 6, chrony 2.3 and later): one datagram each way, that
anybody on the machine may send; the answer takes a tenth of a millisecond.
"""

import os
import secrets
import socket
import struct
from pathlib import Path

CHRONY = 323
"""The port of the loopback where chronyd answers."""
PATIENCE = 0.01
"""Seconds in which a datagram comes back, or it does not come."""
TIMESYNCD = Path("/run/systemd/timesync")
"""systemd-timesyncd's while it runs; ``synchronized`` is in it once it has set the clock."""
_VERSION, _REQUEST, _REPLY, _TRACKING, _TRACKED = 6, 1, 2, 33, 5
_HEAD = struct.Struct(">BBBBHHIII")
"""Of a request: version, kind, two reserved, command, attempt, sequence, two paddings."""
_ANSWER = struct.Struct(">BBBBHHHHHHIII24xHH")
"""Its head the same but for reply, status and paddings; then address, stratum and leap status."""
_LENGTH = 104
"""Of the answer, and so of the request: chronyd does not say more than it was asked."""
_NOT_SYNCHRONISED = 3


def chrony(port: int = CHRONY) -> bool | None:
    """Return whether chronyd says that the clock is synchronised; None where none answers."""
    sequence = secrets.randbits(32)
    request = _HEAD.pack(_VERSION, _REQUEST, 0, 0, _TRACKING, 0, sequence, 0, 0)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(PATIENCE)
            asking.connect(("127.0.0.1", port))
            asking.send(request.ljust(_LENGTH, b"\0"))
            return _leap(asking.recv(2 * _LENGTH), sequence)
    except OSError:
        return None


def timesyncd(folder: Path = TIMESYNCD) -> bool | None:
    """Return whether systemd-timesyncd has set the clock since it runs; None where it does not."""
    if os.access(folder / "synchronized", os.F_OK):
        return True
    return False if os.access(folder, os.F_OK) else None


def _leap(answer: bytes, sequence: int) -> bool | None:
    """Read the leap status off an answer; None where it is none to our question."""
    if len(answer) < _LENGTH:
        return None
    version, kind, _, _, command, reply, status, *_, asked, _, _, _, leap = _ANSWER.unpack_from(
        answer
    )
    ours = (version, kind, command, reply) == (_VERSION, _REPLY, _TRACKING, _TRACKED)
    if not ours or status or asked != sequence:
        return None
    return bool(leap != _NOT_SYNCHRONISED)
