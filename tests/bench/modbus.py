"""Modbus TCP to be measured: many equipments, polled once a second."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from drivers.simulated.load import limit
from drivers.simulated.site import load_site_file
from tests.bench.scene import CROSSINGS, HERE, Scene, Size

LOAD_KIND = "load"
REFERENCE_KIND = "incubator"


@dataclass(frozen=True)
class Modbus:
    """``drivers.simulated.load``, one connection for each equipment (a ``scene.Wire``)."""

    size: Size

    @property
    def words(self) -> str:
        return f"{self.size.equipments} equipments of {self.size.channels} float32 at 1 Hz"

    def devices(self, folder: Path) -> Sequence[str]:
        return [
            *(sys.executable, "-m", "drivers.simulated.load"),
            *("--equipments", str(self.size.equipments), "--channels", str(self.size.channels)),
            *("--record", str(folder / CROSSINGS)),
        ]

    def site_text(self, around: Scene) -> str:
        return load_site_file(
            around.ports,
            self.size.channels,
            around.state,
            mqtt_port=around.broker.port,
            influxdb_url=around.database_url,
        )

    def script(self, around: Scene) -> Sequence[str]:
        limits = [limit(channel) for channel in range(self.size.channels)]
        return [
            *(sys.executable, str(HERE / "reference.py")),
            *("--ports", json.dumps(list(around.ports)), "--limits", json.dumps(limits)),
            *("--influx", around.database_url, "--mqtt-port", str(around.broker.port)),
        ]

    def bare(self, around: Scene) -> None:
        """A client alone would do less than the script; no budget says how much less."""

    def readings(self, lines: Mapping[str, int], changes: Mapping[int, int]) -> int:  # noqa: ARG002 - these have no source time
        scans = sum(lines.get(kind, 0) for kind in (LOAD_KIND, REFERENCE_KIND))
        return scans * self.size.channels

    def lost(self, around: Scene, changes: Mapping[int, int], span: tuple[float, float]) -> int:  # noqa: ARG002 - see below
        """What is polled has no changes that could be lost; polls missed are counted elsewhere."""
        return 0
