"""The site file that watches the simulated plant: what a site of its own would write by hand.

Its delays fit a demo of a minute; at a real site they are minutes, not seconds.
"""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

IO_LINE = "suite-a-io"
CO2_UNIT, HUMIDITY_UNIT, IO_UNIT = 240, 241, 1

_HEAD = """\
# Written for the demo: simulated incubators on this machine's loopback.
site: demo
gateway: demo-gw
"""


def site_file(
    incubators: Sequence[str],
    ports: Mapping[str, int],
    state_directory: Path,
    *,
    mqtt_port: int | None = None,
    commands: bool = False,
) -> str:
    """Return the file's text; ``ports`` is each line's port on the loopback, by line.

    ``mqtt_port`` is that of a broker on the loopback, which may speak MQTT 3.1.1 only.
    """
    parts = [
        _HEAD,
        f"store: {{directory: {json.dumps(str(state_directory))}}}\n",
        "" if mqtt_port is None else _mqtt(mqtt_port, commands=commands),
        "\n" + files("drivers.simulated").joinpath("limits.yaml").read_text("utf-8"),
        "\nlines:\n",
        *[_line(name, port) for name, port in ports.items()],
        "\nequipment:\n",
        *[_incubator(name, index) for index, name in enumerate(incubators)],
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


def _incubator(name: str, index: int) -> str:
    line, serial = probes_line(name), f"SIM-{index + 1:03}"
    return f"""\
  - name: {name}
    kind: incubator
    area: suite-a
    limits: incubator-37c
    sources:
      - {{line: {line}, unit: {CO2_UNIT}, profile: vaisala-gmp251, serial: {serial}-C}}
      - {{line: {line}, unit: {HUMIDITY_UNIT}, profile: vaisala-hmp, serial: {serial}-H}}
      - name: io
        line: {IO_LINE}
        unit: {IO_UNIT}
        channels:
          door: {{discrete: {2 * index}, names: {{0: closed, 1: open}}}}
          alarm_contact: {{discrete: {2 * index + 1}, names: {{0: alarm, 1: normal}}}}
          co2_supply_pressure:
            {{input: {index}, type: int16, scale: 0.001, unit: bar, sentinels: [-32768]}}
"""
