"""OPC UA to be measured: bioreactors whose channels all change once a second.

Four servers of ten vessels each by default, as a suite's controllers speak for its vessels: many
sessions would share the cost of none, and a single one of 1,000 nodes would hide that lines are
told apart.
"""

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from drivers.simulated.load import HOST, limit
from tests.bench.opcua_load import CHANNELS, NAMESPACE, equipment_name, identifier, server_of
from tests.bench.scene import CROSSINGS, HERE, Scene, Size
from tests.support.servers import free_port

SERVED = "served.jsonl"
SCRIPT_MEASUREMENT = "script"


@dataclass(frozen=True)
class OpcUa:
    """``opcua_load.py``, a server for each line (a ``scene.Wire``)."""

    size: Size
    lines: int = 4

    @property
    def words(self) -> str:
        count = self.size.equipments * self.size.channels
        return (
            f"{count} nodes of {self.size.equipments} equipments on {self.lines} OPC UA servers,"
            " each changing at 1 Hz"
        )

    def devices(self, folder: Path) -> Sequence[str]:
        ports = [str(free_port()) for _ in range(self.lines)]
        return [
            *(sys.executable, str(HERE / "opcua_load.py"), "--ports", *ports),
            *("--equipments", str(self.size.equipments), "--channels", str(self.size.channels)),
            *("--served", str(folder / SERVED), "--record", str(folder / CROSSINGS)),
        ]

    def site_text(self, around: Scene) -> str:
        return site_text(
            self.size, around.ports, around.state, around.broker.port, around.database_url
        )

    def script(self, around: Scene) -> Sequence[str]:
        return [
            *self._subscriber("opcua_reference.py", around),
            *("--influx", around.database_url, "--mqtt-port", str(around.broker.port)),
        ]

    def bare(self, around: Scene) -> Sequence[str]:
        return self._subscriber("opcua_bare.py", around)

    def _subscriber(self, file: str, around: Scene) -> Sequence[str]:
        """A script with the nodes that it is to watch: of each endpoint, by what they are."""
        watched: dict[str, dict[str, tuple[str, str, float]]] = {
            endpoint(port): {} for port in around.ports
        }
        for index in range(self.size.equipments):
            of_server = watched[endpoint(around.ports[server_of(index, self.lines)])]
            name = equipment_name(index)
            for place, (channel, _) in enumerate(CHANNELS[: self.size.channels]):
                of_server[identifier(name, channel)] = name, channel, limit(place)
        table = around.folder / "nodes.json"
        table.write_text(json.dumps(watched))
        nodes = "--namespace", NAMESPACE, "--nodes", str(table)
        return [sys.executable, str(HERE / file), *nodes]

    def readings(self, lines: Mapping[str, int], changes: Mapping[int, int]) -> int:
        return lines.get(SCRIPT_MEASUREMENT, 0) + sum(changes.values())

    def lost(self, around: Scene, changes: Mapping[int, int], span: tuple[float, float]) -> int:
        served = Counter[int]()
        for line in (around.folder / SERVED).read_text().splitlines():
            told = json.loads(line)
            served[told["ms"] // 1000] += told["changes"]
        return missing(served, changes, span)


def missing(
    served: Mapping[int, int], arrived: Mapping[int, int], span: tuple[float, float]
) -> int:
    """Count what does not agree, either way, in the whole seconds of ``span``."""
    seconds = range(int(span[0]) + 1, int(span[1]))
    return sum(abs(served.get(second, 0) - arrived.get(second, 0)) for second in seconds)


def site_text(
    size: Size, ports: Sequence[int], state_directory: Path, mqtt_port: int, influxdb_url: str
) -> str:
    """The file that watches ``opcua_load.py``: a rule on every channel; a line for each port."""
    limits = [
        f"    {name}: [{{name: high, high: {limit(index)}, deadband: 1.0}}]\n"
        for index, (name, _) in enumerate(CHANNELS[: size.channels])
    ]
    lines = [
        f'  - {{name: {line_name(index)}, opcua: {{endpoint: "{endpoint(port)}"}}}}\n'
        for index, port in enumerate(ports)
    ]
    equipment = [
        _equipment(equipment_name(index), line_name(server_of(index, len(ports))), size.channels)
        for index in range(size.equipments)
    ]
    return "".join(
        [
            "site: bench\ngateway: bench-gw\n",
            f"store: {{directory: {json.dumps(str(state_directory))}}}\n",
            f"mqtt: {{host: {HOST}, port: {mqtt_port}}}\n",
            f'influxdb: {{url: "{influxdb_url}", org: bench, bucket: bench}}\n',
            "limits:\n  load:\n",
            *limits,
            "lines:\n",
            *lines,
            "equipment:\n",
            *equipment,
        ]
    )


def _equipment(name: str, line: str, channels: int) -> str:
    nodes = [
        f"          {channel}:"
        f" {{node: {json.dumps(node(name, channel))}, unit: {json.dumps(unit)}}}\n"
        for channel, unit in CHANNELS[:channels]
    ]
    return (
        f"  - name: {name}\n    kind: bioreactor\n    area: bench\n    limits: load\n"
        f"    sources:\n      - line: {line}\n        channels:\n{''.join(nodes)}"
    )


def endpoint(port: int) -> str:
    return f"opc.tcp://{HOST}:{port}/"


def node(equipment: str, channel: str) -> str:
    """The node of a channel as the file has it."""
    return f"nsu={NAMESPACE};{identifier(equipment, channel)}"


def line_name(index: int) -> str:
    return f"controller-{index + 1}"
