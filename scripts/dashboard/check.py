"""Opens a dashboard in a headless browser, and looks whether all of it is drawn.

Every kind of page is loaded by itself, then every graph is visited: all benchmarks,
over the commits and over each of their parameters. Any exception, message of an error,
refused request or request to another host is a finding.
"""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import audit
import commits
import results
import serve
from browser import HEIGHT, WIDTH, Browser
from errors import DashboardError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from browser import Page

_INSPECT = Path(__file__).with_name("inspect_page.js").read_text(encoding="utf-8")
_BUTTONS = ("#log-scale", "#zoom-y-axis", "#even-spacing", "#date-scale")
_ROWS = "$('#regressions-body table').first().find('tbody tr').length"
_POPOVER = "$('.popover canvas.flot-base').length > 0"
_TWO_FRAMES = (
    "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
)


def check(site: Path, pictures: Path | None = None) -> Visit:
    """Looks at everything.

    Args:
        site: The directory of a dashboard.
        pictures: Where to put a PNG of each kind of page, if anywhere.

    Returns:
        What there was to see, and what is wrong with it.
    """
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serve.server(site, 0))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        browser = stack.enter_context(Browser())
        visit = Visit(browser, serve.address(server), site, pictures)
        visit.findings += audit.findings(site)
        visit.everything()
    return visit


@dataclass
class Visit:
    """One look at one dashboard."""

    browser: Browser
    address: str
    site: Path
    pictures: Path | None
    views: int = 0
    findings: list[str] = field(default_factory=list)

    def everything(self) -> None:
        """All pages."""
        self.index = results.read(self.site / "index.json")
        self.regressions = results.read(self.site / "regressions.json")["regressions"]
        self.grid()
        self.last_values()
        self.regressions_page()
        self.commits()
        for name, link in self.kinds().items():
            with self.opened(name, f"index.html#{link}") as page:
                self.expect(page, "inspectPage.isThere()")
                self.look(page, name, "inspectPage.graph()")
        self.one_graph_by_mouse()
        self.all_graphs()

    # Pages

    def grid(self) -> None:
        """Each benchmark in small."""
        with self.opened("grid", "index.html") as page:
            self.expect(page, "$('.benchmark-plot').length > 0")
            # they are drawn when they come into view
            height = page.evaluate("$('#summarygrid-display')[0].scrollHeight")
            page.size(WIDTH, max(int(height) + 100, HEIGHT))
            page.evaluate("void $(window).trigger('scroll')")
            self.expect(
                page, "$('.benchmark-plot').get().every(plot => $(plot).data('plot'))"
            )
            page.size(WIDTH, HEIGHT)
            self.look(page, "grid", "inspectPage.grid()")

    def last_values(self) -> None:
        """The table of last values."""
        with self.opened("list", "index.html#summarylist") as page:
            self.expect(page, "$('#summarylist-body tbody tr').length > 0")
            self.look(page, "list")
            page.click("#summarylist-body th:nth-child(2)")
            self.expect(page, "location.hash.includes('sort=1')")
            self.expect_popover(page, "#summarylist-body tbody a")

    def regressions_page(self) -> None:
        """The table of what became slower."""
        count = sum(len(regression[6] or ()) for regression in self.regressions)
        with self.opened("regressions", "index.html#regressions") as page:
            self.expect(page, "$('#regressions-body table').length > 0")
            self.expect(page, f"{_ROWS} === {count}")
            self.look(page, "regressions")
            if count:
                self.expect_popover(page, "#regressions-body tbody a")
                page.click("#regressions-body tbody a")
                self.expect(page, "inspectPage.isThere()")
                self.look(page, "regression", "inspectPage.graph()")

    def commits(self) -> None:
        """What git knows about them."""
        with self.opened("commits", commits.PAGE) as page:
            self.expect(page, "document.querySelectorAll('article').length > 0")
            self.look(page, "commits")

    # Graphs

    def benchmarks(self) -> Iterator[tuple[str, list[str], list[list[str]]]]:
        """Name, names of parameters, and their values."""
        for name, benchmark in sorted(self.index["benchmarks"].items()):
            yield name, benchmark["param_names"], benchmark["params"]

    def kinds(self) -> dict[str, str]:
        """Where there is a graph of each kind."""
        found: dict[str, str] = {}
        most_first = sorted(self.benchmarks(), key=lambda each: -len(each[1]))
        for name, parameters, values in most_first:
            if not parameters:
                found.setdefault("commits alone", name)
            else:
                found.setdefault("lines", name)
            for parameter, some in zip(parameters, values, strict=True):
                kind = "sweep" if all(map(_is_number, some)) else "bars"
                found.setdefault(kind, f"{name}?{urlencode({'x-axis': parameter})}")
        first = found.get("lines") or found["commits alone"]
        for name, scale in {
            "log scale": "y-axis-scale=log",
            "zoomed": "y-axis-scale=zoom",
            "even spacing": "x-axis-scale=even",
            "dates": "x-axis-scale=date",
        }.items():
            found[name] = f"{first}?{scale}"
        return found

    def one_graph_by_mouse(self) -> None:
        """A point that tells of itself, buttons, a range, the list of benchmarks."""
        name = min(self.benchmarks(), key=lambda each: len(each[1]))[0]
        with self.opened("mouse", f"index.html#{name}") as page:
            self.expect(page, "inspectPage.isThere()")
            page.move(*page.evaluate("inspectPage.placeOfPoint()"))
            self.expect(page, "/ @ [0-9a-f]{8}/.test($('.tooltip').text())")
            for button in _BUTTONS:
                page.evaluate("inspectPage.forget()")
                page.click(button)
                self.expect(page, "inspectPage.isThere()", f"mouse: {button}")
                self.look(page, f"{button} over {name}", "inspectPage.graph()")
            everything = page.evaluate("$('#range').val()")
            page.drag("#main-graph .flot-overlay", 0.6, 0.9)
            self.expect(page, f"$('#range').val() !== {json.dumps(everything)}")
            page.click("#graphdisplay-navigation label.nav-header")
            self.expect(page, "$('#graphdisplay-navigation ul.tree:visible a').length")

    def all_graphs(self) -> None:
        """Each benchmark over commits and over each parameter, in one tab."""
        with self.opened("graphs", "index.html") as page:
            self.expect(page, "inspectPage && $.asv.main_json.benchmarks")
            for name, parameters, _ in self.benchmarks():
                for axis in ("commit", *parameters):
                    link = f"{name}?{urlencode({'x-axis': axis})}"
                    page.evaluate("inspectPage.forget()")
                    page.evaluate(f"void (location.hash = {json.dumps(link)})")
                    self.expect(page, "inspectPage.isThere()", f"{name} over {axis}")
                    self.look(page, f"{name} over {axis}", "inspectPage.graph()")

    # How

    @contextlib.contextmanager
    def opened(self, name: str, link: str) -> Iterator[Page]:
        """A page in a tab of its own, without anything of others in a cache."""
        self.name = name
        with self.browser.page() as page:
            page.size(WIDTH, HEIGHT)
            page.evaluate_on_load(_INSPECT)
            page.open(self.address + link)
            try:
                yield page
            except DashboardError as error:
                self.findings.append(f"{name}: {error}")
            # news of what went wrong come before the answer
            with contextlib.suppress(DashboardError):
                page.evaluate(_TWO_FRAMES)
            self.findings += [f"{name}: {problem}" for problem in page.problems]

    def expect_popover(self, page: Page, selector: str) -> None:
        """Waits for the graph beside a link that the mouse is on.

        What is drawn while the mouse comes may move the link away from under it.
        """
        for _ in range(2):
            page.hover(selector)
            if page.wait(_POPOVER):
                return
            page.move(0, 0)
        page.hover(selector)
        self.expect(page, _POPOVER)

    def expect(self, page: Page, condition: str, name: str = "") -> None:
        """Waits for something."""
        if not page.wait(condition):
            self.findings.append(f"{name or self.name}: never came true: {condition}")

    def look(self, page: Page, name: str, problems: str = "[]") -> None:
        """Notes what is wrong with what is to be seen, and takes a picture of it."""
        self.views += 1
        page.evaluate(_TWO_FRAMES)
        self.findings += [f"{name}: {found}" for found in page.evaluate(problems)]
        if self.pictures and " over " not in name:
            self.pictures.mkdir(parents=True, exist_ok=True)
            page.picture(self.pictures / f"{name.replace(' ', '-')}.png")


def _is_number(value: str) -> bool:
    """As asv's pages decide between lines and bars."""
    try:
        float(value)
    except ValueError:
        return False
    return True
