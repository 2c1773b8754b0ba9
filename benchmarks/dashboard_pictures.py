"""Take the screenshots of docs/dashboard.md: `python -m benchmarks.dashboard_pictures`.

Starts a service with synthetic streets and one offline camera, waits for an event, and takes
screenshots of its pages in Debian's Chromium (apt-get install chromium).
"""

import argparse
import itertools
import tempfile
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np

from cameras.simulation import open_synthetic
from cameras.source import SourceOptions
from pipeline.config import Config
from pipeline.runtime.local_engine import local_service
from pipeline.transport.listening import listen

IMAGES = Path(__file__).parents[1] / "docs" / "images"
RATE = 6
LIVE = {"loop": True, "policy": "newest"}
"""A looped recording at its own rate, like a camera."""
SIZES = {390: 844, 1280: 800, 2560: 1440}


def film(path: Path, address: str, seconds: float) -> str:
    """Render a synthetic street to a video file, so that it costs nothing later; its path."""
    with (
        open_synthetic(address, SourceOptions(pace="fast")) as street,
        av.open(str(path), "w") as container,
    ):
        stream = container.add_stream("h264", rate=RATE, options={"crf": "20", "g": str(2 * RATE)})
        stream.pix_fmt = "yuv420p"
        for number, picture in enumerate(itertools.islice(street, int(seconds * RATE))):
            image = picture.image() if callable(picture.image) else picture.image
            frame = av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")
            if number == 0:
                stream.height, stream.width = frame.height, frame.width
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return str(path)


def configuration(folder: Path, port: int) -> Config:
    """Two streets as looped recordings, and an offline camera."""
    high = film(folder / "high.mp4", f"synthetic:street?seed=3&plan=demo&fps={RATE}", 125)
    market = film(folder / "market.mp4", f"synthetic:street?seed=11&fps={RATE}", 60)
    zone = {"coordinates": "0.02,0.62,0.98,0.52,0.98,0.72,0.02,0.8"}
    return Config.model_validate(
        {
            "detect": {"fps": RATE, "height": 180, "width": 240},
            "adapt": {"frames": 10, "interval": 0.8, "calibrate": 40},
            "alert": {
                "target_false_alarms_per_day": 144,
                "merge_gap": 1.5,
                "cooldown": 0,
                "only_zones": False,
            },
            "metrics": {"port": 0},
            "api": {"enabled": True, "port": port},
            "cameras": {
                "high_street": {"source": {"url": high, **LIVE}, "zones": {"pavement": zone}},
                "market": {"source": {"url": market, **LIVE}},
                "north_gate": {"source": {"url": "rtsp://127.0.0.1:9/none"}},
            },
        }
    )


def wait_for(condition: Callable[[], Any], seconds: float) -> Any:
    """Wait until a condition returns a true value, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError("timed out waiting for a condition")
        time.sleep(0.3)
    return found


class Screenshots:
    """Takes screenshots of pages."""

    def __init__(self, browser: Any, url: str, folder: Path) -> None:
        self._browser = browser
        self._url = url
        self._folder = folder

    def open(self, path: str, width: int, scheme: str, height: int | None = None) -> Any:
        """Open a page and wait until it is drawn."""
        size = {"width": width, "height": height or SIZES[width]}
        context = self._browser.new_context(viewport=size, color_scheme=scheme)
        page = context.new_page()
        page.goto(f"{self._url}/{path}")
        page.get_by_role("heading", level=1).wait_for()
        page.wait_for_timeout(3500)
        return page

    def shoot(self, page: Any, name: str) -> None:
        """Save a screenshot."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"dashboard-{name}.jpg"
        page.screenshot(path=path, type="jpeg", quality=78)
        print(f"{path}: {path.stat().st_size // 1000} KB")


def photograph(screenshots: Screenshots, get: Callable[[str], Any]) -> None:
    """Take screenshots of all pages, of the wall during an event."""
    active = "/events?active=true&suppressed=false&camera=high_street"
    walls = [("wall-1280", 1280, "light"), ("wall-2560", 2560, "dark"), ("wall-390", 390, "light")]
    for name, width, scheme in walls:
        page = screenshots.open("", width, scheme)
        try:
            wait_for(lambda: get(active)["events"], 90)
        except TimeoutError:
            print("no event is active; the wall is quiet")
        page.wait_for_timeout(700)
        screenshots.shoot(page, name)
        page.context.close()
    events = [
        one for one in get("/events?camera=high_street&limit=200")["events"] if one["heatmap"]
    ]
    best = max(events, key=lambda one: (one["clip"] is not None, one["peak_score"]))
    others = [
        ("camera-1280", "#/cameras/high_street", 1280, "light", 1180),
        ("camera-390", "#/cameras/high_street", 390, "dark", None),
        ("events-1280", "#/events", 1280, "light", None),
        ("events-390", "#/events", 390, "light", None),
        ("event-1280", f"#/events/{best['id']}", 1280, "dark", 1050),
        ("system-1280", "#/system", 1280, "light", 1050),
    ]
    for name, path, width, scheme, height in others:
        page = screenshots.open(path, width, scheme, height)
        page.wait_for_timeout(2500)
        screenshots.shoot(page, name)
        page.context.close()


def main() -> None:
    """Start the service, take the screenshots, stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder of the pictures")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="path of the browser")
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with listen("127.0.0.1", 0) as listener:
        port = int(listener.getsockname()[1])
    stop = threading.Event()
    with (
        tempfile.TemporaryDirectory() as folder,
        local_service(
            configuration(Path(folder), port), Path(folder) / "data", "ERROR"
        ) as supervisor,
        httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=30) as api,
    ):
        thread = threading.Thread(target=supervisor.run, args=(stop,))
        thread.start()

        def get(path: str) -> Any:
            try:
                return api.get(path).json()
            except httpx.HTTPError:
                return {"events": [], "cameras": []}

        try:
            active = "/events?active=true&suppressed=false&camera=high_street"
            wait_for(lambda: get(active)["events"], 600)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=given.chromium, args=["--no-sandbox"]
                )
                photograph(Screenshots(browser, f"http://127.0.0.1:{port}", given.out), get)
                browser.close()
        finally:
            stop.set()
            thread.join(60)


if __name__ == "__main__":
    main()
