"""What Grafana makes of a dashboard: every query in it, with the variables and macros filled in."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

Dashboard = Mapping[str, Any]
FINEST = "10s"
"""The step of a panel that asks for none, on the screen that we suppose."""
FOLDER = Path(__file__).parents[2] / "docs" / "dashboards"


class Asked(NamedTuple):
    """One query of a dashboard, and whose it is."""

    owner: str
    """The title of a panel, or the name of a variable or annotation."""
    ref: str
    text: str
    step: str = FINEST


class Shown(NamedTuple):
    """What is chosen at the top of a dashboard."""

    start: int
    end: int
    """Milliseconds, UTC."""
    choices: Mapping[str, Sequence[str]]
    """By variable; several where it allows that."""

    def fill(self, asked: Asked) -> str:
        """Return the query as the database gets it."""
        text = asked.text
        text = text.replace("$timeFilter", f"time >= {self.start}ms and time <= {self.end}ms")
        text = text.replace("$__interval", asked.step).replace("${__to}", str(self.end))
        text = re.sub(r"\$\{(\w+):(\w+)\}", self._chosen, text)
        assert not re.search(r"\$[\w{]", text), f"{asked.owner}: not filled in: {text}"
        return text

    def _chosen(self, found: re.Match[str]) -> str:
        chosen = self.choices[found[1]]
        if found[2] == "raw":
            [only] = chosen
            return only
        assert found[2] == "regex"
        escaped = [re.sub(r"([\\^$*+?.()|\[\]{}/])", r"\\\1", each) for each in chosen]
        return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def read(name: str) -> Dashboard:
    """A committed dashboard."""
    found: Dashboard = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


def of_panels(dashboard: Dashboard) -> Iterator[Asked]:
    """Every query of its panels."""
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            step = panel.get("interval", FINEST)
            yield Asked(panel["title"], target["refId"], target["query"], step)


def of_variables(dashboard: Dashboard) -> Iterator[Asked]:
    """Every query of its variables, in their order."""
    for variable in variables(dashboard):
        yield Asked(variable["name"], "", variable["query"]["query"])


def of_annotations(dashboard: Dashboard) -> Iterator[Asked]:
    """Every query of its annotations."""
    for annotation in dashboard["annotations"]["list"]:
        yield Asked(annotation["name"], "", annotation["target"]["query"])


def variables(dashboard: Dashboard) -> list[Mapping[str, Any]]:
    """Its variables that are filled by a query."""
    return [each for each in dashboard["templating"]["list"] if each["type"] == "query"]


def offered(variable: Mapping[str, Any], rows: Sequence[Mapping[str, object]]) -> list[str]:
    """Return what is offered of an answer: its values, names or fields, as far as they match."""
    wanted = re.compile(variable["regex"].strip("/") or ".*")
    columns = ("value", "fieldKey", "name")
    values = {str(row[next(name for name in columns if name in row)]) for row in rows}
    return sorted(value for value in values if wanted.match(value))
