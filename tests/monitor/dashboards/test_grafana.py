"""What we build is of the types that Grafana itself publishes for dashboards (npm @grafana/schema).

A key or word that Grafana does not know does nothing there and says nothing; here it is an error.
"""

import copy
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from monitor.dashboards import grafana
from tests.support.grafana import read
from tests.support.node import node, packages

pytestmark = pytest.mark.real

Json = dict[str, Any]
MODULES = {
    "stat": "stat",
    "table": "table",
    "timeseries": "timeseries",
    "state-timeline": "statetimeline",
}
PLAIN = """\
type Plain<T> = T extends string ? `${T}` : T extends number | boolean | null | undefined ? T
    : T extends (infer U)[] ? Plain<U>[] : T extends object ? {[K in keyof T]?: Plain<T[K]>} : T;
"""
"""A type as JSON has it: words for members of enumerations; what has a default may be missing."""


def imports() -> Iterator[str]:
    raw = packages() / "@grafana" / "schema" / "dist" / "types" / "raw"
    yield f'import type * as whole from "{raw}/dashboard/x/types.gen";'
    for module in MODULES.values():
        yield f'import type * as {module} from "{raw}/composable/{module}/panelcfg/x/types.gen";'


def satisfies(value: object, kind: str) -> str:
    return f"({json.dumps(value, indent=1)}) satisfies Plain<{kind}>;"


def of_panel(panel: Json) -> Iterator[str]:
    """The statements about a panel; its queries are the database's own affair."""
    module = MODULES[panel["type"]]
    defaults = dict(panel["fieldConfig"]["defaults"])
    custom = defaults.pop("custom")
    yield satisfies(panel["options"], f"{module}.Options")
    if custom:
        yield satisfies(custom, f"{module}.FieldConfig")
    yield satisfies(defaults, "whole.FieldConfig")
    yield satisfies(panel["fieldConfig"]["overrides"], "whole.FieldConfigSource['overrides']")
    apart = {"options", "fieldConfig", "targets"}
    rest = {name: value for name, value in panel.items() if name not in apart}
    yield satisfies(rest, "whole.Panel")


def statements(board: Mapping[str, Any]) -> Iterator[str]:
    yield from imports()
    yield PLAIN
    for panel in board["panels"]:
        yield from of_panel(panel)
    for variable in board["templating"]["list"]:
        yield satisfies(variable, "whole.VariableModel")
    for annotation in board["annotations"]["list"]:
        shown = {name: value for name, value in annotation.items() if name != "target"}
        yield satisfies(shown, "whole.AnnotationQuery")
    apart = {"panels", "templating", "annotations"}
    rest = {name: value for name, value in board.items() if name not in apart}
    yield satisfies(rest, "whole.Dashboard")


def complaints(board: Mapping[str, Any], folder: Path) -> list[str]:
    """Every place where a dashboard is not of its types, in the compiler's words."""
    file = folder / "board.ts"
    file.write_text("\n".join(statements(board)), encoding="utf-8")
    tool = node()
    compiler = packages() / "typescript" / "bin" / "tsc"
    asked = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022"]
    modules = ["--module", "esnext", "--moduleResolution", "bundler"]
    done = subprocess.run(
        [tool.path, compiler, *asked, *modules, file],
        env=tool.environment,
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
    )
    found = [line for line in done.stdout.splitlines() if "error TS" in line]
    assert (done.returncode == 0) == (not found), done.stdout + done.stderr
    return found


def test_the_dashboard_is_of_the_types_of_grafana(tmp_path: Path) -> None:
    assert complaints(read("site-overview"), tmp_path) == []


def panel_of(board: Json, kind: str) -> Json:
    found: Json = next(panel for panel in board["panels"] if panel["type"] == kind)
    return found


MISTAKES: Mapping[str, Callable[[Json], object]] = {
    "gridPOS": lambda board: board["panels"][0].update(gridPOS={}),
    "justifyMod": lambda board: panel_of(board, "stat")["options"].update(justifyMod="auto"),
    "'\"lin\"'": lambda board: panel_of(board, "timeseries")["fieldConfig"]["defaults"][
        "custom"
    ].update(drawStyle="lin"),
    "'\"absolut\"'": lambda board: panel_of(board, "stat")["fieldConfig"]["defaults"][
        "thresholds"
    ].update(mode="absolut"),
    "multy": lambda board: board["templating"]["list"][1].update(multy=True),
    "timezon": lambda board: board.update(timezon="browser"),
}


def test_a_word_that_grafana_does_not_know_is_found(tmp_path: Path) -> None:
    board = copy.deepcopy(dict(read("site-overview")))
    for make in MISTAKES.values():
        make(board)
    found = "\n".join(complaints(board, tmp_path))
    assert [word for word in MISTAKES if word not in found] == []


def test_a_unit_that_grafana_lacks_stands_as_it_is() -> None:
    assert grafana.unit("Cel") == "celsius"
    assert grafana.unit("mmol/L/h") == "suffix: mmol/L/h"
    assert grafana.unit("") == "short"
