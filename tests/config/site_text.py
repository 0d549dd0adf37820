"""A small good site for the tests of config, to be spoilt in one place at a time."""

from pathlib import Path

from config.load import load
from config.plant import Plant
from config.problems import ConfigError

GOOD = """\
site: lab
gateway: gw-1
mqtt: {host: 127.0.0.1, user: me, password: {env: PW}}
influxdb: {url: "http://127.0.0.1:8086", bucket: b, token: {credential: t}}
limits:
  warm:
    temperature:
      - {name: high, high: 37.5, deadband: 0.1}
      - {name: low, low: 36, deadband: 0.1}
    co2: [{low: 4.5, deadband: 0.1}]
profiles:
  own:
    channels:
      temperature: {holding: 0, type: int16, scale: 0.1, unit: degC, valid: [-50, 150]}
      co2: {input: 4, type: float32, order: CDAB, unit: ppm}
lines:
  - {name: bus-1, modbus: {host: 192.0.2.1}}
equipment:
  - name: incubator-1
    kind: incubator
    area: lab
    limits: warm
    sources:
      - {line: bus-1, unit: 1, profile: own, every: 1s}
      - line: bus-1
        unit: 2
        channels: {door: {discrete: 6, names: {0: closed, 1: open}}}
"""

REACTOR = """\
site: lab
gateway: gw-1
profiles:
  tank:
    namespace: "urn:vendor:tank"
    channels:
      ph: {node: "s=T.pH", unit: pH}
      dissolved_oxygen: {node: "i=7"}
lines:
  - name: reactor-1
    opcua:
      endpoint: "opc.tcp://192.0.2.31:4840"
      security: Basic256Sha256/SignAndEncrypt
      user: {credential: reactor-1}
  - {name: bus-1, modbus: {host: 192.0.2.1}}
equipment:
  - name: bioreactor-1
    kind: bioreactor
    area: lab
    sources:
      - {line: reactor-1, profile: tank, every: 1s}
      - name: balance
        line: reactor-1
        channels: {weight: {node: "nsu=urn:vendor:balance;s=W", unit: g}}
      - line: bus-1
        unit: 3
        channels: {door: {discrete: 6}}
"""
"""A small good site with both wires."""

NO_ENVIRONMENT: dict[str, str] = {}


def loaded(folder: Path, text: str) -> Plant:
    """The plant of ``text``, with nothing laid over it."""
    path = folder / "site.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, environ=NO_ENVIRONMENT)


def problems(folder: Path, text: str) -> list[str]:
    """The problems of ``text``, without the name of the file."""
    try:
        loaded(folder, text)
    except ConfigError as error:
        return [str(problem).removeprefix(f"{folder}/site.yaml:") for problem in error.problems]
    return []


def spoilt(old: str, new: str, text: str = GOOD) -> str:
    """The good site with its one ``old`` replaced by ``new``."""
    assert text.count(old) == 1, old
    return text.replace(old, new)
