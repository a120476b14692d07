"""The page as a reader meets it, in a browser."""

import math
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import altair as alt
import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from wider.drawing import layered
from wider.evidence import Claim, Evidence, Interval
from wider.report import runs_in_results, write_page
from wider.study import EXPERIMENTS, Picture

RESULTS = Path(__file__).parents[2] / "results"
NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP: ViewportSize = {"width": 1300, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
MOST_PAGES = 14  # in print
DRAWN = "document.documentElement.dataset.charts === 'drawn'"
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


class Report(NamedTuple):
    """A page that was written, and the names of its pictures."""

    path: Path
    pictures: list[str]


@dataclass
class Opened:
    """A page and what went on in it."""

    page: Page
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def rows(self) -> list[list[str]]:
        """The runs that are shown, as text."""
        return self.page.eval_on_selector_all(
            "#all-runs tbody tr:not([hidden])",
            "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))",
        )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser of this machine, or no test."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser is installed, none of {', '.join(NAMES)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    """All runs that the repository keeps."""
    return runs_in_results(RESULTS)


@pytest.fixture(scope="module")
def report(runs: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The page of these runs."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    sections = write_page(runs, path)
    return Report(path, [f"{each.anchor}-{p.name}" for each in sections for p in each.pictures])


def _open(
    browser: Browser,
    path: Path,
    *,
    viewport: ViewportSize = DESKTOP,
    permissions: Sequence[str] = (),
) -> Opened:
    page = browser.new_page(viewport=viewport, permissions=permissions)
    opened = Opened(page)
    page.on("request", lambda request: opened.requests.append(request.url))
    page.on("pageerror", lambda error: opened.problems.append(str(error)))
    page.on(
        "console",
        lambda message: (
            opened.problems.append(message.text) if message.type in {"warning", "error"} else None
        ),
    )

    def refuse(dialog):
        opened.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("dialog", refuse)
    page.goto(path.as_uri())
    page.wait_for_function(DRAWN)
    return opened


@pytest.fixture(scope="module")
def opened(browser: Browser, report: Report) -> Opened:
    """The page, loaded once; each test touches another part of it."""
    opened = _open(browser, report.path, permissions=["clipboard-read", "clipboard-write"])
    opened.page.get_by_role("link", name="All runs").click()
    return opened


def _bottom(page: Page, selector: str) -> float:
    box = page.locator(selector).bounding_box()
    assert box is not None
    return box["y"] + box["height"]


def test_the_first_screen_answers_on_a_desktop_and_a_phone(browser: Browser, report: Report):
    page = _open(browser, report.path).page
    assert page.locator(".headlines li").count() == 3
    assert _bottom(page, ".headlines") < _bottom(page, "[data-chart=answer] svg") <= 900
    page.set_viewport_size(PHONE)
    page.wait_for_function("document.querySelector('[data-chart=answer] svg').clientWidth < 390")
    assert _bottom(page, ".answer") < _bottom(page, ".headlines") < PHONE["height"]
    box = page.locator("[data-chart=answer] svg").bounding_box()
    assert box is not None
    assert box["y"] < PHONE["height"] - 50
    page.close()


def test_a_claim_opens_to_its_evidence(browser: Browser, report: Report):
    page = _open(browser, report.path).page
    evidence = page.locator("#figure-4-relu-gain dl")
    assert not evidence.is_visible()
    page.locator("#figure-4-relu-gain summary").click()
    assert evidence.is_visible()
    assert "Width 80 (best of 6) less width 5" in (evidence.text_content() or "")
    assert not page.locator("#figure-1-cifar10 dl").is_visible()
    page.locator(".headlines a[href='#figure-1-cifar10']").click()
    assert page.locator("#figure-1-cifar10 dl").is_visible()
    page.close()


def test_every_chart_is_drawn_without_a_warning_or_a_request(browser: Browser, report: Report):
    opened = _open(browser, report.path)
    opened.page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    opened.page.wait_for_function("!document.querySelector('.chart:not(:has(svg))')")
    marks = opened.page.eval_on_selector_all(
        "[data-chart]",
        "places => places.map(place => [place.dataset.chart,"
        " place.querySelectorAll('svg .role-mark :is(path, line, text)').length])",
    )
    assert sorted(name for name, _ in marks) == sorted([*report.pictures, "answer"])
    assert all(count >= 4 for _, count in marks), marks
    assert opened.problems == []
    assert opened.requests == [report.path.as_uri()]
    opened.page.close()


def test_it_fits_screens_of_any_size_in_light_and_dark(browser: Browser, report: Report):
    opened = _open(browser, report.path, viewport=PHONE)
    page = opened.page
    for name in ("answer", "demo-laptop-demo", "figure-4-paper-figure-4-cut"):
        place = page.locator(f"[data-chart={name}]")
        assert place.evaluate("place => place.scrollWidth - place.clientWidth") <= 2, name
    for viewport in (PHONE, DESKTOP):
        page.set_viewport_size(viewport)
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        for is_dark in (False, True):
            page.emulate_media(color_scheme="dark" if is_dark else "light")
            red = page.evaluate("+getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
            assert red < 60 if is_dark else red > 200
            ink = page.eval_on_selector(
                ".chart .role-title-text text", "it => +getComputedStyle(it).fill.match(/\\d+/)[0]"
            )
            assert ink > 200 if is_dark else ink < 60
    for width in (1023, 1024, 1100, 1200, 1300):  # beside the contents, and below them
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    # Drawn again for the wider screen.
    page.wait_for_function("document.querySelector('[data-chart=answer] svg').clientWidth > 600")
    assert opened.problems == []
    page.close()


def test_a_click_in_the_legend_shows_one_line(opened: Opened):
    chart = opened.page.locator("[data-chart=demo-laptop-demo]")

    def opacities() -> list[float]:
        lines = chart.locator("svg .mark-line path[stroke-width]")
        return lines.evaluate_all("lines => lines.map(line => +getComputedStyle(line).opacity)")

    assert opacities() == [1, 1]
    chart.locator("svg .role-legend-label text", has_text="dense").click()
    opened.page.wait_for_timeout(100)
    assert sorted(opacities()) == [0.08, 1]


def test_shift_and_the_wheel_zoom_and_the_wheel_alone_scrolls(opened: Opened):
    page = opened.page
    chart = page.locator("[data-chart=figure-4-paper-figure-4-cut]")
    chart.scroll_into_view_if_needed()

    def labels() -> list[str]:
        return chart.locator("svg .role-axis-label text").all_text_contents()

    before, height = labels(), page.evaluate("scrollY")
    chart.hover(position={"x": 300, "y": 200})
    page.mouse.wheel(0, 100)
    page.wait_for_function("before => scrollY > before", arg=height)
    assert labels() == before
    chart.hover(position={"x": 300, "y": 200})
    page.keyboard.down("Shift")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Shift")
    page.wait_for_timeout(200)
    assert labels() != before


def test_runs_are_found_by_all_words(opened: Opened, runs: pd.DataFrame):
    search = opened.page.get_by_label("Show runs with all of these words")
    assert len(opened.rows()) == len(runs)
    search.fill("digits  DENSE")
    found = opened.rows()
    assert {(row[0], row[3]) for row in found} == {("digits", "dense")}
    assert len(found) == ((runs["dataset"] == "digits") & (runs["method"] == "dense")).sum() > 0
    shown = opened.page.locator("#matches").text_content()
    assert shown == f"{len(found)} of {len(runs):,} runs"
    search.fill("mnist 3970 80")  # a number is a whole one, with or without its comma
    wanted = (runs["dataset"] == "mnist") & (runs["num_weights"] == 3970) & (runs["width"] == 80)
    assert len(opened.rows()) == wanted.sum() > 0
    search.fill("")
    assert len(opened.rows()) == len(runs)


def test_runs_are_sorted_by_mouse_and_keyboard(opened: Opened, runs: pd.DataFrame):
    def widths() -> list[int]:
        return [int(row[4].replace(",", "")) for row in opened.rows()]

    heading = opened.page.locator("#all-runs th", has_text="width")
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert widths() == sorted(runs["width"])
    heading.get_by_role("button").press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert widths() == sorted(runs["width"], reverse=True)
    opened.page.locator("#all-runs th", has_text="dataset").get_by_role("button").press("Space")
    assert heading.get_attribute("aria-sort") is None
    assert [row[0] for row in opened.rows()] == sorted(runs["dataset"])


def test_a_command_is_copied(opened: Opened):
    opened.page.locator("#figure-4-paper .copy").click()
    opened.page.get_by_role("button", name="Copied").wait_for()
    copied = opened.page.evaluate("navigator.clipboard.readText()")
    assert copied == "wider run figure-4 --scale paper --data-dir DIR"


def test_print_is_short_and_light(browser: Browser, report: Report):
    page = _open(browser, report.path).page
    page.emulate_media(color_scheme="dark", media="print")
    fill = "it => getComputedStyle(it).fill"
    assert page.eval_on_selector(".chart .role-title-text text", fill) == "rgb(0, 0, 0)"
    assert not page.locator("nav").is_visible()
    assert not page.locator("#all-runs").is_visible()
    assert page.locator("#figure-4-relu-gain summary").is_visible()
    pages = re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))
    assert 4 < len(pages) <= MOST_PAGES
    page.close()


def test_all_runs_are_printed_when_asked_for(browser: Browser, report: Report):
    page = _open(browser, report.path).page
    page.evaluate(
        "print = () => (printed = !!document.querySelector('#all-runs').checkVisibility())"
    )
    page.get_by_role("button", name="Print with all tables and runs").click()
    page.wait_for_function("window.printed")
    assert page.locator("main details[open]").count() == 0
    page.close()


def test_names_stay_text(browser: Browser, runs: pd.DataFrame, tmp_path: Path):
    def draw(table: pd.DataFrame, scale) -> list[Picture]:
        rows = table[["dataset", "width", "final_test_accuracy"]]
        points = alt.Chart(rows).encode(x="width:Q", y="final_test_accuracy:Q", color="dataset:N")
        marks = layered(
            points.mark_point().encode(tooltip="dataset:N"),
            points.mark_text().encode(text="dataset:N"),
        )
        return [Picture("evil", marks.properties(title=EVIL), EVIL)]

    def claim(name: str, effect: Interval | None, unit: str = "points") -> Claim:
        evidence = effect and Evidence(lambda _: effect, 1 if math.isinf(effect.low) else 5, EVIL)
        return Claim(name, EVIL, EVIL, EVIL, lambda _: evidence, EVIL, above=0, unit=unit)

    claims = (
        claim("one-seed", Interval(1.5, -math.inf, math.inf)),
        claim("slope", Interval(-2.0, -3.0, -1.0), "seeds a day"),
        claim("missing", None),
    )
    demo = replace(EXPERIMENTS["demo"], title=EVIL, draw=draw, claims=claims)
    write_page(runs.assign(dataset=EVIL), tmp_path / "evil.html", experiments=[demo])
    opened = _open(browser, tmp_path / "evil.html")
    page = opened.page
    assert page.locator("h3", has_text=EVIL).count() == 2  # of the subject and of the figure
    said = page.locator(".claim").all_text_contents()
    assert all(EVIL in row for row in said)
    assert "contradicted" in said[0]
    assert "\N{MINUS SIGN}2 seeds a day" in said[0]
    assert "inconclusive" in said[1]
    assert "one seed, so no interval" in said[1]
    assert EVIL in (page.locator("#missing").text_content() or "")
    assert {row[0] for row in opened.rows()} == {EVIL}
    chart = page.locator("[data-chart=demo-laptop-evil]")
    assert chart.locator(".mark-text.role-mark text").first.text_content() == EVIL
    chart.locator(".mark-symbol.role-mark path").first.hover(force=True)
    page.wait_for_function("document.querySelector('#vg-tooltip-element.visible')")
    assert page.locator("#vg-tooltip-element").text_content() == EVIL
    assert page.locator("img").count() == 0
    assert opened.problems == []
    page.close()
