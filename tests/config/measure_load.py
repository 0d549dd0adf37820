"""How long large sites take to check and resolve: run as a script, prints a line for each.

``python tests/config/measure_load.py``: seconds, best of three, by profile and spelled out, over
Modbus and over OPC UA.
"""

import sys
import tempfile
from itertools import product
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from config.load import load  # noqa: E402 - as a script, the root has to be found first

NAMES = [f"c{index:02}" for index in range(25)]


def _channels(indent: str, *, nodes: bool) -> str:
    register = "{{holding: {at}, type: float32, order: CDAB}}"
    written = '{{node: "nsu=http://vendor.example/;s=R.V{at}"}}' if nodes else register
    return "".join(
        f"{indent}{name}: {written.format(at=2 * index)}\n" for index, name in enumerate(NAMES)
    )


def _line(n: int, *, nodes: bool) -> str:
    reached = f'opcua: {{endpoint: "opc.tcp://h{n}"}}' if nodes else f"modbus: {{host: h{n}}}"
    return f"  - {{name: l{n}, {reached}}}\n"


def site(equipments: int, *, spelled: bool, nodes: bool = False) -> str:
    """A site of chambers with 25 float channels, a rule on each."""
    text = "site: large\ngateway: gw-1\nkinds:\n  load:\n"
    text += "".join(f"    {name}: {{}}\n" for name in NAMES) + "limits:\n  load:\n"
    text += "".join(f"    {name}: [{{high: 50, deadband: 1, on_delay: 1m}}]\n" for name in NAMES)
    text += "profiles:\n  load:\n    channels:\n" + _channels("      ", nodes=nodes) + "lines:\n"
    text += "".join(_line(n, nodes=nodes) for n in range(equipments))
    text += "equipment:\n"
    for n in range(equipments):
        text += f"  - name: e{n}\n    kind: load\n    area: a\n    limits: load\n    sources:\n"
        text += f"      - line: l{n}\n" + ("" if nodes else "        unit: 1\n")
        own = "        channels:\n" + _channels(" " * 10, nodes=nodes)
        text += own if spelled else "        profile: load\n"
    return text


def seconds(text: str, folder: Path) -> float:
    """The shortest of three runs."""
    path = folder / "site.yaml"
    path.write_text(text, encoding="utf-8")
    spans = []
    for _ in range(3):
        start = perf_counter()
        load(path, environ={})
        spans.append(perf_counter() - start)
    return min(spans)


def main() -> None:
    """Print one line for each size and manner."""
    with tempfile.TemporaryDirectory() as folder:
        for equipments, spelled, nodes in product((400, 2000), (False, True), (False, True)):
            text = site(equipments, spelled=spelled, nodes=nodes)
            manner = "spelled out" if spelled else "by profile"
            wire = "OPC UA" if nodes else "Modbus"
            took = seconds(text, Path(folder))
            lines = text.count("\n")
            sys.stdout.write(
                f"{equipments:5} equipments {wire} {manner:11} {lines:6} lines {took:7.3f} s\n"
            )


if __name__ == "__main__":
    main()
