"""The page itself: what stands on it, what is drawn, and how a real browser shows and prints it."""

import json
import re
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.plant import Storage
from config.problems import plain
from monitor.excursions.record import ExcursionRecord
from monitor.pages import chart
from monitor.pages.excursion import Drawing
from monitor.pages.templates import environment
from tests.monitor.alarms.small_plant import moment
from tests.monitor.pages import scene
from tests.support.debian import Tool, tool

MADE = datetime(2026, 2, 3, 8, 0, tzinfo=UTC)
LATER = moment(scene.END).at
PARIS = timezone(timedelta(hours=1))


def page(record: ExcursionRecord, *, kinetic: float | None = None) -> str:
    drawing = Drawing(record, LATER)
    for reading in scene.readings():
        drawing.add_reading(reading)
    for event in scene.events():
        drawing.add_event(event)
    return drawing.page(made=MADE, kinetic=kinetic, zone=PARIS)


@pytest.fixture(scope="module")
def record() -> ExcursionRecord:
    return scene.recorded()


@pytest.fixture(scope="module")
def text(record: ExcursionRecord) -> str:
    return page(record)


class Elements(HTMLParser):
    """What a page consists of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if said := data.strip():
            self.said.append(said)

    def of_class(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for _, attributes in self.found if attributes.get("class") == name]

    def named(self, name: str) -> dict[str, float]:
        [one] = [attributes for _, attributes in self.found if attributes.get("id") == name]
        return {key: float(value) for key, value in one.items() if _is_number(value)}  # type: ignore[arg-type]  # checked


def _is_number(value: str | None) -> bool:
    return value is not None and re.fullmatch(r"-?[\d.]+", value) is not None


def test_what_people_typed_is_text_and_nothing_else(text: str) -> None:
    assert not [tag for tag, _ in Elements(text).found if tag == "script"]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert scene.REASON in Elements(text).said
    assert scene.BATCH in " ".join(Elements(text).said)


@given(st.text())
def test_what_would_not_be_seen_is_spelt_out(said: str) -> None:
    shown = environment().from_string("{{ said }}").render(said=said)
    assert shown.isprintable()
    assert unescape(shown) == plain(said)


def test_it_needs_nothing_else(text: str) -> None:
    """No address of anything, no file beside it, and the browser is told to fetch nothing."""
    elements = Elements(text)
    assert not [a for _, a in elements.found if {"src", "href", "xlink:href"} & a.keys()]
    assert "default-src 'none'" in text
    assert re.findall(r"url\(([^)]*)\)", text) != []
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", text))


def test_every_figure_of_the_record_stands_on_it(record: ExcursionRecord, text: str) -> None:
    said = Elements(text).said
    assert f"{record.extreme:.6g} °C" in said
    assert f"{record.unit_minutes:.4g} °C·min" in said
    assert str(record.samples) in said
    assert str(record.bad_samples) in said
    assert record.excursion in said
    assert record.config in said
    assert record.serial in said
    assert f"10 min 39 s ({record.duration_seconds:g} s)" in said
    assert "4 min 32 s" in said  # The door: from the start of it to its being shut.


def test_a_test_of_an_alarm_is_not_about_it(record: ExcursionRecord, text: str) -> None:
    drawing = Drawing(record, LATER)
    for reading in scene.readings():
        drawing.add_reading(reading)
    for event in scene.events():
        drawing.add_event(event)
        if event["kind"] in {"alarm", "act"}:
            place, _, rule = str(event["subject"]).rpartition("/")
            drawing.add_event({**event, "subject": f"{place}/test-{rule}"})
    assert drawing.page(made=MADE, kinetic=None, zone=PARIS) == text


def test_times_are_utc_and_local(text: str) -> None:
    assert any("2026-02-02 02:52:29.000 UTC (03:52:29 UTC+01:00)" in s for s in Elements(text).said)
    assert "time, UTC (local: UTC+01:00)" in text


def test_what_is_drawn_lies_where_it_was(record: ExcursionRecord, text: str) -> None:
    elements, span = Elements(text), Drawing(record, LATER).span
    start, end = (round(moment(at).at) for at in (scene.OPENED, scene.SHUT))
    [door] = elements.of_class("door")
    x, width = float(str(door["x"])), float(str(door["width"]))
    assert x == pytest.approx(chart.across(start, *span), abs=2)
    assert x + width == pytest.approx(chart.across(end, *span), abs=2)
    [gap] = elements.of_class("gap")
    bad = round(moment(scene.BAD[0]).at)
    assert float(str(gap["x"])) == pytest.approx(chart.across(bad, *span), abs=2)
    extreme, limit = elements.named("extreme"), elements.named("limit")
    assert chart.TOP < extreme["cy"] < limit["y1"] < chart.BOTTOM
    [curve] = list(re.findall(r'<g id="line"[^>]*>(.*?)</g>', text, re.DOTALL))
    highest = min(float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", curve))
    assert highest == pytest.approx(extreme["cy"], abs=0.1)
    inside = elements.named("inside")
    seconds = inside["width"] / (chart.RIGHT - chart.LEFT) * (span[1] - span[0]) / 10**9
    assert seconds == pytest.approx(record.duration_seconds, abs=1)


def test_limits_of_other_alarms_are_drawn_where_they_are_values(record: ExcursionRecord) -> None:
    drawing = Drawing(record, LATER)
    for reading in scene.readings():
        drawing.add_reading(reading)
    raised, *_ = scene.events()
    for rule, kind, limit in (
        ("warm", "high", 37.6),
        ("warm", "high", 37.7),  # In another state.
        ("trend", "repeated", 37.8),
        ("off", "deviation", 37.4),
        ("differ", "discrepancy", 37.4),
        ("runaway", "rate", 37.4),
    ):
        body = {"change": "raised", "alarm": f"x/{rule}", "rule": rule, "rule_kind": kind}
        drawing.add_event(raised | {"body": body | {"limit": limit, "priority": "low"}})
    said = Elements(drawing.page(made=MADE, kinetic=None, zone=PARIS)).said
    drawn = [text for text in said if re.match(r"(warm|trend|off|differ|runaway) 37", text)]
    assert drawn == ["warm 37.6 °C", "warm 37.7 °C", "trend 37.8 °C"]


def test_what_is_of_another_equipment_or_time_is_left_out(text: str) -> None:
    assert "elsewhere" not in text
    assert len(re.findall(r'<span class="number">\d+</span></td>', text)) == 6
    assert "alarm raised (critical)" in text
    assert "acknowledged" not in text  # Its act stands there, with its reason.


def test_mean_kinetic_temperature_stands_only_where_product_is_stored() -> None:
    stored = page(scene.recorded(scene.site(Storage.COLD)), kinetic=7.7046)
    assert "7.70 °C" in stored
    assert "24 hours to its end (2-8C)" in stored
    room = page(scene.recorded(scene.site(Storage.ROOM)), kinetic=None)
    assert "30 days to its end (15-25C)" in room
    assert "Mean kinetic" not in page(scene.recorded())


def test_one_that_goes_on_says_so(record: ExcursionRecord) -> None:
    still = record.model_copy(update={"open": True, "end": None, "ended_by": ""})
    assert "goes on</span>" in page(still)


def test_one_without_readings_or_events_is_a_page_too(record: ExcursionRecord) -> None:
    """What the quota took is told as such: a gap from side to side."""
    text = Drawing(record, LATER).page(made=MADE, kinetic=None, zone=PARIS)
    [gap] = Elements(text).of_class("gap")
    assert float(str(gap["width"])) == pytest.approx(chart.RIGHT - chart.LEFT, abs=0.2)


def test_what_is_not_over_yet_is_no_gap(record: ExcursionRecord) -> None:
    now = moment(1400).at
    assert Drawing(record, now).span[1] == now
    assert Drawing(record, 0).span[1] > Drawing(record, 0).span[0]


@pytest.fixture
def shown(text: str, tmp_path: Path) -> Path:
    file = tmp_path / "page.html"
    file.write_text(text, encoding="utf-8")
    return file


FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>{folders}<cachedir>{cache}</cachedir></fontconfig>
"""


def chromium(file: Path, *options: str) -> str:
    """What a browser without a screen says of a page."""
    browser = tool("chromium")
    unpacked = browser.path.parents[1] / "lib/chromium/chromium"
    done = subprocess.run(
        [
            unpacked if unpacked.exists() else browser.path,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--user-data-dir={file.parent / 'profile'}",
            *options,
            file.as_uri(),
        ],
        env=browser.environment | {"FONTCONFIG_FILE": str(fonts(browser, file.parent))},
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    return done.stdout


def fonts(browser: Tool, folder: Path) -> Path:
    """Say where letters come from: the machine's, or those that came with the browser."""
    places = (browser.path.parents[1] / "share/fonts", Path("/usr/share/fonts"))
    folders = "".join(f"<dir>{place}</dir>" for place in places)
    file = folder / "fonts.conf"
    file.write_text(FONTS.format(folders=folders, cache=folder / "fonts"), encoding="utf-8")
    return file


@pytest.mark.real
def test_a_browser_shows_it_whole_and_prints_it_on_two_pages(shown: Path) -> None:
    """On screen: the text stands in the document, nothing ran. On paper: A4, and the text in it."""
    dom = chromium(shown, "--dump-dom")
    assert "Extreme (highest)" in dom
    assert dom.count('class="number"') == 7
    screen, paper = shown.with_suffix(".png"), shown.with_suffix(".pdf")
    chromium(shown, "--window-size=1100,1500", f"--screenshot={screen}")
    assert screen.read_bytes()[:4] == b"\x89PNG"
    chromium(shown, "--no-pdf-header-footer", f"--print-to-pdf={paper}")
    said, pages = printed(paper)
    assert pages == 2
    assert "38.29 °C" in said
    assert "alert('2')" in said
    assert "10 min 39 s (639 s)" in " ".join(said.split())


@pytest.mark.real
def test_no_text_of_the_page_is_cut_off_in_a_browser(shown: Path) -> None:
    """Measured there: nothing is wider than the page, on a wide screen and on a narrow one."""
    measure = (
        "<script>onload=()=>{const w=document.documentElement;"
        "document.title=JSON.stringify({wide:w.scrollWidth-w.clientWidth,"
        "high:document.querySelector('figure svg').getBoundingClientRect().height})}</script>"
    )
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", shown.read_text())
    shown.write_text(text.replace("</body>", measure + "</body>"), encoding="utf-8")
    for width in (1100, 500):
        dom = chromium(shown, "--dump-dom", f"--window-size={width},900")
        title = re.search(r"<title>(.*?)</title>", dom)
        assert title is not None
        found = json.loads(title[1])
        assert found["wide"] <= 0
        assert found["high"] > 150


def printed(paper: Path) -> tuple[str, int]:
    """The text of a PDF, and how many pages it has."""
    reader = tool("pdftotext")
    done = subprocess.run(
        [reader.path, "-layout", paper, "-"],
        env=reader.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout, done.stdout.count("\f")
