"""The site files that watch the simulated plant and the bench's load, as one writes them by hand.

The demo's delays fit a minute; at a real site they are minutes, not seconds.
"""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from drivers.simulated import load, nodes
from drivers.simulated.instruments import Mode

IO_LINE = "suite-a-io"
CO2_UNIT, HUMIDITY_UNIT, IO_UNIT = 240, 241, 1

_HEAD = """\
# Written for the demo: simulated equipment on this machine's loopback.
site: demo
gateway: demo-gw
"""


def site_file(
    equipment: tuple[Sequence[str], Sequence[str]],
    ports: Mapping[str, int],
    state_directory: Path,
    *,
    mqtt_port: int | None = None,
    commands: bool = False,
) -> str:
    """Return the file's text.

    ``equipment`` are the names of the incubators and of the bioreactors, whose lines bear the
    same; ``ports`` is each line's port on the loopback, by line.
    ``mqtt_port`` is that of a broker on the loopback, which may speak MQTT 3.1.1 only.
    """
    incubators, bioreactors = equipment
    parts = [
        _HEAD,
        f"store: {{directory: {json.dumps(str(state_directory))}}}\n",
        "" if mqtt_port is None else _mqtt(mqtt_port, commands=commands),
        "\n" + files("drivers.simulated").joinpath("limits.yaml").read_text("utf-8"),
        "\nlines:\n",
        *[
            _opcua_line(name, port) if name in bioreactors else _line(name, port)
            for name, port in ports.items()
        ],
        "\nequipment:\n",
        *[_incubator(name, index) for index, name in enumerate(incubators)],
        *[_bioreactor(name, index) for index, name in enumerate(bioreactors)],
    ]
    return "".join(parts)


def probes_line(incubator: str) -> str:
    """The line of an incubator's own probes."""
    return f"{incubator}-probes"


def _mqtt(port: int, *, commands: bool) -> str:
    taken = str(commands).lower()
    return (
        f'mqtt: {{host: 127.0.0.1, port: {port}, protocol: "3.1.1", '
        f"commands: {taken}, digest: 5s}}\n"
    )


def _line(name: str, port: int) -> str:
    modbus = f"{{host: 127.0.0.1, port: {port}, timeout: 500ms}}"
    return f"  - {{name: {name}, modbus: {modbus}}}\n"


def _opcua_line(name: str, port: int) -> str:
    # Anonymous and in the clear: it does not leave this machine.
    return f'  - {{name: {name}, opcua: {{endpoint: "opc.tcp://127.0.0.1:{port}"}}}}\n'


def _incubator(name: str, index: int) -> str:
    line, serial = probes_line(name), f"SIM-{index + 1:03}"
    modes = ", ".join(f"{mode.value}: {_word(mode)}" for mode in Mode)
    return f"""\
  - name: {name}
    kind: incubator
    area: suite-a
    limits: incubator-37c
    state:
      - {{channel: decontamination, states: {{running: cleaning}}}}
      - {{channel: mode, states: {{culture: in_use, warming-up: warming_up}}}}
    sources:
      - {{line: {line}, unit: {CO2_UNIT}, profile: vaisala-gmp251, serial: {serial}-C}}
      - {{line: {line}, unit: {HUMIDITY_UNIT}, profile: vaisala-hmp, serial: {serial}-H}}
      - name: io
        line: {IO_LINE}
        unit: {IO_UNIT}
        channels:
          door: {{discrete: {3 * index}, names: {{0: closed, 1: open}}}}
          alarm_contact: {{discrete: {3 * index + 1}, names: {{0: alarm, 1: normal}}}}
          decontamination: {{discrete: {3 * index + 2}, names: {{0: "off", 1: running}}}}
          mode: {{input: {2 * index + 1}, type: uint16, names: {{{modes}}}}}
          co2_supply_pressure:
            {{input: {2 * index}, type: int16, scale: 0.001, unit: bar, sentinels: [-32768]}}
"""


def _word(mode: Mode) -> str:
    return mode.name.lower().replace("_", "-")


def _bioreactor(name: str, index: int) -> str:
    analogs = [
        f'          {each.channel}: {{{_node(name, each.node)}, unit: "{each.unit}"}}\n'
        for each in nodes.ANALOGS
    ]
    names = ", ".join(f"{number}: {phase}" for number, phase in enumerate(nodes.PHASES))
    return f"""\
  - name: {name}
    kind: bioreactor
    area: suite-b
    limits: stirred-tank
    sources:
      - line: {name}
        every: 1s
        serial: SIM-B{index + 1:02}
        channels:
{"".join(analogs)}\
          phase: {{{_node(name, nodes.PHASE)}, names: {{{names}}}}}
          operating_state: {{{_node(name, nodes.OPERATION)}}}
"""


def _node(name: str, node: str) -> str:
    return f'node: "nsu={nodes.NAMESPACE};s={name}.{node}"'


def load_site_file(
    ports: Sequence[int],
    channels: int,
    state_directory: Path,
    *,
    mqtt_port: int | None = None,
    influxdb_url: str | None = None,
) -> str:
    """Return the file that watches ``drivers.simulated.load``: a rule on every channel, at 1 Hz.

    ``mqtt_port`` is that of a broker on the loopback that speaks MQTT 5; ``influxdb_url`` takes
    writes as InfluxDB v2 does, without a token.
    """
    names = [load.channel_name(index) for index in range(channels)]
    lines = [_line(load.equipment_name(index), port) for index, port in enumerate(ports)]
    equipment = [_loaded(load.equipment_name(index)) for index in range(len(ports))]
    influxdb = f'influxdb: {{url: "{influxdb_url}", org: bench, bucket: bench}}\n'
    return "".join(
        [
            "site: bench\ngateway: bench-gw\n",
            f"store: {{directory: {json.dumps(str(state_directory))}}}\n",
            "" if mqtt_port is None else f"mqtt: {{host: 127.0.0.1, port: {mqtt_port}}}\n",
            "" if influxdb_url is None else influxdb,
            "kinds:\n  load:\n",
            *[f"    {name}: {{type: analog}}\n" for name in names],
            "limits:\n  load:\n",
            *[f"    {name}: [{_high(index)}]\n" for index, name in enumerate(names)],
            "profiles:\n  load:\n    channels:\n",
            *[f"      {name}: {_float(2 * index)}\n" for index, name in enumerate(names)],
            "lines:\n",
            *lines,
            "equipment:\n",
            *equipment,
        ]
    )


def _high(channel: int) -> str:
    return f"{{name: high, high: {load.limit(channel)}, deadband: 1.0}}"


def _float(address: int) -> str:
    return f"{{holding: {address}, type: float32, order: CDAB}}"


def _loaded(name: str) -> str:
    source = f"{{line: {name}, unit: 1, profile: load}}"
    return f"  - {{name: {name}, kind: load, area: bench, limits: load, sources: [{source}]}}\n"
