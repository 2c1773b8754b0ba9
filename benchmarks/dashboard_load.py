"""Measure the dashboard in Chromium: `python -m benchmarks.dashboard_load PART`.

Cameras, scores and pictures are generated (see `synthetic_service`); gateway and browser are real,
and run on this machine. Parts:

    page       bytes of the page without pictures, and first paint
    pixels     from a published score to its picture on the wall
    viewers    CPU of the gateway with no, one and five viewers
    memory     memory of a tab that shows the wall
    events     list and time-line with 100,000 stored events
    cameras    a wall of fifty cameras

Needs Debian's Chromium (apt-get install chromium). The load of the machine is printed with each
table.
"""

import argparse
import gzip
import os
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from benchmarks.synthetic_service import SyntheticService, synthetic_service
from pipeline.events.event import Event
from pipeline.gateway.pages import STATIC
from pipeline.gateway.usage import read_process
from pipeline.storage.database import SQLITE_NAME
from pipeline.storage.store import EventStore
from pipeline.transport.listening import listen

FPS = 5.0
CAMERAS = 9
EVENTS = 100_000
_PIXELS = """() => {
  window.shown = [];
  new MutationObserver((changes) => {
    const at = changes.map((change) => Number(change.target.dataset.capturedAt));
    requestAnimationFrame(() => { for (const one of at) window.shown.push(Date.now() / 1000 - one); });
  }).observe(document.body, {subtree: true, attributeFilter: ['data-captured-at']});
}"""  # noqa: E501
_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


class Tabs:
    """Pages of one browser."""

    def __init__(self, browser: Any, url: str) -> None:
        self._browser = browser
        self._url = url
        self.system = browser.new_browser_cdp_session()

    def open(self, path: str = "", width: int = 1280, height: int = 900) -> Any:
        """Open a page in a new context without cookies and caches."""
        context = self._browser.new_context(viewport={"width": width, "height": height})
        page = context.new_page()
        page.goto(f"{self._url}/{path}")
        return page

    def wall(self, **size: int) -> Any:
        """Open the wall, and wait for a live picture."""
        page = self.open(**size)
        page.locator(".tile .age", has_text="Live").first.wait_for(timeout=60_000)
        return page

    def cpu_seconds(self) -> float:
        """CPU time of all processes of the browser so far."""
        found = self.system.send("SystemInfo.getProcessInfo")["processInfo"]
        return sum(one["cpuTime"] for one in found)

    def renderer_bytes(self) -> int:
        """Private memory of the processes of the tabs."""
        found = self.system.send("SystemInfo.getProcessInfo")["processInfo"]
        return sum(_private(one["id"]) for one in found if one["type"] == "renderer")


def _private(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Private_"))


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"


def measure_page(tabs: Tabs, _service: SyntheticService, table: Table, _given: Any) -> None:
    raw = packed = 0
    for path in sorted(STATIC.iterdir()):
        content = path.read_bytes()
        raw, packed = raw + len(content), packed + len(gzip.compress(content))
    table.add_row("bytes of the page, raw", f"{raw:,}")
    table.add_row("bytes of the page, gzip", f"{packed:,}")
    paints = []
    for _ in range(7):
        page = tabs.open()
        page.get_by_role("heading", level=1).wait_for()
        paints.append(page.evaluate(_PAINT) / 1000)
        page.context.close()
    table.add_row("first paint, median of 7", _ms(median(paints)))
    table.add_row("first paint, longest", _ms(max(paints)))


def measure_pixels(tabs: Tabs, _service: SyntheticService, table: Table, given: Any) -> None:
    page = tabs.wall(width=1920, height=1080)
    page.evaluate(_PIXELS)
    page.wait_for_timeout(1000 * given.seconds)
    shown = page.evaluate("window.shown")
    table.add_row("cameras, scores a second of each", f"{CAMERAS}, {FPS:g}")
    table.add_row("pictures a second on the wall", f"{len(shown) / given.seconds:.1f}")
    table.add_row("score to pixel, median", _ms(median(shown)))
    table.add_row("score to pixel, 95 %", _ms(quantiles(shown, n=20)[-1]))


def measure_viewers(tabs: Tabs, service: SyntheticService, table: Table, given: Any) -> None:
    for viewers in (0, 1, 5):
        pages = [tabs.wall() for _ in range(viewers)]
        time.sleep(2)
        begin = time.monotonic(), read_process(service.pid)[0], tabs.cpu_seconds()
        (pages[0].wait_for_timeout if pages else lambda ms: time.sleep(ms / 1000))(
            1000 * given.seconds
        )
        wall = time.monotonic() - begin[0]
        gateway, browser = read_process(service.pid)[0] - begin[1], tabs.cpu_seconds() - begin[2]
        table.add_row(f"gateway, {viewers} viewers", f"{100 * gateway / wall:.0f} % of a core")
        table.add_row(f"browser, {viewers} viewers", f"{100 * browser / wall:.0f} % of a core")
        for page in pages:
            page.context.close()


def measure_memory(tabs: Tabs, _service: SyntheticService, table: Table, given: Any) -> None:
    page = tabs.wall()
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    points: list[tuple[float, float, float]] = []
    begin = time.monotonic()
    while (minutes := (time.monotonic() - begin) / 60) < given.minutes:
        session.send("HeapProfiler.collectGarbage")
        metrics = session.send("Performance.getMetrics")["metrics"]
        heap = next(one["value"] for one in metrics if one["name"] == "JSHeapUsedSize")
        points.append((minutes, heap / 1e6, tabs.renderer_bytes() / 1e6))
        page.wait_for_timeout(15_000)
    steady = [point for point in points if point[0] >= 1.0]
    for column, name in ((1, "script heap"), (2, "process of the tab, private")):
        values = [point[column] for point in steady]
        slope = _slope([point[0] for point in steady], values)
        table.add_row(name, f"{values[0]:.1f} → {values[-1]:.1f} MB, {slope:+.3f} MB a minute")
    table.add_row(
        "observed; slopes without the first sixty seconds", f"{points[-1][0]:.1f} minutes"
    )


def _slope(x: Sequence[float], y: Sequence[float]) -> float:
    middle, mean = sum(x) / len(x), sum(y) / len(y)
    over = sum((a - middle) * (b - mean) for a, b in zip(x, y, strict=True))
    return over / sum((a - middle) ** 2 for a in x)


def write_events(folder: Path) -> None:
    """Store events of 30 days."""
    source, now = random.Random(0), time.time()
    events = []
    for number in range(EVENTS):
        at = now - 30 * 86_400 * source.random()
        camera = f"camera_{source.randrange(CAMERAS) + 1:02d}"
        quiet, peak = source.random() < 0.2, 1 + source.random() * 3
        events.append(
            Event(
                f"{camera}-1-{number}", camera, 1, number, at, 0.0, at + 6, 6.0, peak, at + 2, 1,
                number + 20, "ready", quiet, 60, suppressed_by="cooldown" if quiet else None,
                terms={"motion": peak, "residual": 0.1},
            )
        )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    with EventStore(folder / SQLITE_NAME) as store:
        for begin in range(0, EVENTS, 5000):
            store.save(events[begin : begin + 5000], {})


def measure_events(tabs: Tabs, service: SyntheticService, table: Table, _given: Any) -> None:
    now = time.time()
    requests = {
        "list, first page": "/events?limit=48",
        "list of one camera": "/events?camera=camera_03&limit=48",
        "list of one label": "/events?label=none&suppressed=false&limit=48",
        "list, 20 days back": f"/events?end={now - 20 * 86_400:.0f}&limit=48",
        "time-line of a day (1000 events)": f"/events?begin={now - 86_400:.0f}&end={now:.0f}"
        "&limit=1000",
    }
    with httpx.Client(base_url=f"{service.url}/api/v1", timeout=30) as api:
        for name, path in requests.items():
            seconds = []
            for _ in range(9):
                begin = time.monotonic()
                api.get(path).raise_for_status()
                seconds.append(time.monotonic() - begin)
            table.add_row(f"API: {name}, median of 9", _ms(median(seconds)))
    page = tabs.wall()
    for name, selector in (("list", ".event"), ("time-line", ".line-box .mark")):
        seconds = []
        for _ in range(5):
            page.evaluate("location.hash = '#/'")
            page.locator(".tile").first.wait_for()
            begin = time.monotonic()
            page.evaluate("location.hash = '#/events'")
            page.locator(selector).first.wait_for(state="attached")
            seconds.append(time.monotonic() - begin)
        table.add_row(f"browser: from a click to the {name}, median of 5", _ms(median(seconds)))
    begin = time.monotonic()
    for _ in range(40):
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        page.wait_for_timeout(100)
    shown = page.locator(".event").count()
    frames = page.evaluate(_FRAMES)
    table.add_row(f"browser: frames a second, scrolling {shown} events", f"{frames:.0f}")


_FRAMES = """() => new Promise((done) => {
  let frames = 0;
  const begin = performance.now();
  const step = () => {
    frames++;
    scrollBy(0, -60);
    const seconds = (performance.now() - begin) / 1000;
    if (seconds < 2) requestAnimationFrame(step);
    else done(frames / seconds);
  };
  requestAnimationFrame(step);
})"""


def measure_cameras(tabs: Tabs, service: SyntheticService, table: Table, given: Any) -> None:
    begin = time.monotonic()
    page = tabs.open(width=2560, height=1440)
    page.locator(".tile .age", has_text="Live").first.wait_for(timeout=60_000)
    table.add_row("until the first live picture", _ms(time.monotonic() - begin))
    page.wait_for_timeout(5000)
    table.add_row("tiles", str(page.locator(".tile").count()))
    table.add_row("tiles that are live", str(page.locator(".tile .age", has_text="Live").count()))
    page.evaluate(_PIXELS)
    before = time.monotonic(), read_process(service.pid)[0], tabs.cpu_seconds()
    page.wait_for_timeout(1000 * given.seconds)
    wall = time.monotonic() - before[0]
    shown = page.evaluate("window.shown")
    table.add_row("pictures a second", f"{len(shown) / wall:.1f}")
    table.add_row("score to pixel, median", _ms(median(shown)))
    gateway, browser = read_process(service.pid)[0] - before[1], tabs.cpu_seconds() - before[2]
    table.add_row("gateway", f"{100 * gateway / wall:.0f} % of a core")
    table.add_row("browser", f"{100 * browser / wall:.0f} % of a core")
    if given.picture is not None:
        page.screenshot(path=given.picture)


PARTS: dict[str, tuple[Callable[[Tabs, SyntheticService, Table, Any], None], int]] = {
    "page": (measure_page, CAMERAS),
    "pixels": (measure_pixels, CAMERAS),
    "viewers": (measure_viewers, CAMERAS),
    "memory": (measure_memory, CAMERAS),
    "events": (measure_events, CAMERAS),
    "cameras": (measure_cameras, 50),
}
"""Name → what to measure, and the number of cameras."""


def main() -> None:
    """Start the service, measure one part, print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    parser.add_argument("--minutes", type=float, default=30.0, help="of the part memory")
    parser.add_argument("--picture", type=Path, help="screenshot of the part cameras")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="path of the browser")
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    measure, cameras = PARTS[given.part]
    with tempfile.TemporaryDirectory(prefix="vedette-bench-") as folder:
        data = Path(folder) / "data"
        if given.part == "events":
            write_events(data)
        with listen("127.0.0.1", 0) as listener:
            port = int(listener.getsockname()[1])
        sandbox = [] if os.getuid() else ["--no-sandbox"]
        with synthetic_service(data, port, cameras, FPS) as service, sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=given.chromium, args=sandbox)
            cores, before = os.cpu_count(), os.getloadavg()[0]
            table = Table("measured", "value", title=f"Dashboard: {given.part}")
            measure(Tabs(browser, service.url), service, table, given)
            table.add_row(
                "cores; load before, after", f"{cores}; {before:.1f}, {os.getloadavg()[0]:.1f}"
            )
            browser.close()
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
