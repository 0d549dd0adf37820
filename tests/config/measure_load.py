"""How long large sites take to check and resolve: run as a script, prints a line for each.

``python tests/config/measure_load.py``: seconds, best of three, by profile and spelled out.
"""

import sys
import tempfile
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from config.load import load  # noqa: E402 - as a script, the root has to be found first

NAMES = [f"c{index:02}" for index in range(25)]


def _channels(indent: str) -> str:
    return "".join(
        f"{indent}{name}: {{holding: {2 * index}, type: float32, order: CDAB}}\n"
        for index, name in enumerate(NAMES)
    )


def site(equipments: int, *, spelled: bool) -> str:
    """A site of chambers with 25 float channels, a rule on each."""
    text = "site: large\ngateway: gw-1\nkinds:\n  load:\n"
    text += "".join(f"    {name}: {{}}\n" for name in NAMES) + "limits:\n  load:\n"
    text += "".join(f"    {name}: [{{high: 50, deadband: 1, on_delay: 1m}}]\n" for name in NAMES)
    text += "profiles:\n  load:\n    channels:\n" + _channels("      ") + "lines:\n"
    text += "".join(f"  - {{name: l{n}, modbus: {{host: h{n}}}}}\n" for n in range(equipments))
    text += "equipment:\n"
    for n in range(equipments):
        text += f"  - name: e{n}\n    kind: load\n    area: a\n    limits: load\n    sources:\n"
        text += f"      - line: l{n}\n        unit: 1\n"
        text += (
            "        channels:\n" + _channels(" " * 10) if spelled else "        profile: load\n"
        )
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
        for equipments in (400, 2000):
            for spelled in (False, True):
                text = site(equipments, spelled=spelled)
                manner = "spelled out" if spelled else "by profile"
                took = seconds(text, Path(folder))
                lines = text.count("\n")
                sys.stdout.write(
                    f"{equipments:5} equipments {manner:11} {lines:6} lines {took:7.3f} s\n"
                )


if __name__ == "__main__":
    main()
