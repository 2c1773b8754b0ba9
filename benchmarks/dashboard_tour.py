"""Do ten tasks of a user in Chromium and count the clicks: `python -m benchmarks.dashboard_tour`.

A service with two recorded synthetic streets and one offline camera, and real clicks. Typing and
clicks on the corners of a polygon are listed apart. Afterwards the pages are checked in unusual
situations: no network, a restarted gateway, a revoked token, hostile names. `--out` names a folder
for screenshots of them. Needs Debian's Chromium (apt-get install chromium).
"""

import argparse
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from benchmarks.dashboard_pictures import LIVE, RATE, film, wait_for
from pipeline.config import Config
from pipeline.events.event import Event
from pipeline.runtime.local_engine import local_service
from pipeline.storage.database import SQLITE_NAME
from pipeline.storage.store import EventStore
from pipeline.transport.listening import listen

ADMIN = "admin-token-0123456789"
HOSTILE = '<img src=x onerror="document.title=1">'
RIGHT_TO_LEFT = "שלום עربى 東京 🚲"


@dataclass
class Person:
    """A page, and the clicks on it."""

    page: Any
    clicks: int = 0
    also: list[str] = field(default_factory=list)

    def click(self, target: Any) -> None:
        """Click on a locator."""
        target.click()
        self.clicks += 1

    def button(self, name: str) -> None:
        """Click on a button."""
        self.click(self.page.get_by_role("button", name=name, exact=True).first)

    def link(self, name: str) -> None:
        """Click on a link of the navigation."""
        self.click(self.page.get_by_role("navigation", name="Main").get_by_role("link", name=name))

    def tile(self, camera: str) -> None:
        """Click on a camera of the wall."""
        self.click(self.page.locator(f'.tile a[href="#/cameras/{camera}"]'))

    def type(self, label: str, text: str) -> None:
        """Fill in a field."""
        self.page.get_by_label(label).fill(text)
        self.also.append(f"type {text!r}" if len(text) < 12 else f"paste the {label.lower()}")


def last_nights_event(person: Person) -> None:
    person.link("Events")
    person.button("Previous day")
    person.page.locator(".line-box .mark").first.wait_for(state="attached")
    person.page.locator(".line-box .mark").first.click(force=True)
    person.clicks += 1
    person.page.locator("h1", has_text="yard").wait_for()


def silence_the_tree(person: Person) -> None:
    person.tile("high_street")
    person.click(person.page.get_by_role("tab", name="Areas"))
    person.type("Name", "tree")
    person.button("Draw a mask")
    person.page.locator(".camera-page .age", has_text="Live").wait_for()
    box = person.page.locator("svg.areas").bounding_box()
    for x, y in ((0.05, 0.05), (0.3, 0.05), (0.3, 0.3), (0.05, 0.3), (0.05, 0.05)):
        person.page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
    person.also.append("5 corners")
    person.button("Save")
    person.page.get_by_text("Saved.", exact=False).wait_for()


def add_a_camera(person: Person) -> None:
    person.link("Add camera")
    person.type("Address of its stream", "synthetic:street?seed=5")
    person.button("Check")
    person.page.get_by_alt_text("What the camera sees").wait_for(timeout=40_000)
    person.type("Name", "gate")
    person.button("Watch it")
    person.page.get_by_text("Adapting to the normal scene", exact=False).wait_for()


def why_no_alert(person: Person) -> None:
    person.link("Events")
    person.click(person.page.locator(".event", has_text="not sent").locator("a").first)
    person.page.locator(".chip", has_text="not sent:").wait_for()


def label_normal(person: Person) -> None:
    person.link("Events")
    person.click(person.page.locator(".event", has_text="high_street").locator("a").first)
    person.button("This is normal")
    person.page.get_by_text("Labelled: Normal").wait_for()


def restore_a_scene(person: Person) -> None:
    person.tile("high_street")
    person.click(person.page.get_by_role("tab", name="Scenes"))
    person.button("Restore")
    person.page.get_by_text("The scene is in use again.").wait_for()


def change_the_dial(person: Person) -> None:
    person.tile("high_street")
    dial = person.page.get_by_label("False alarms a day")
    dial.wait_for()
    person.page.wait_for_function("() => document.querySelector('.dial input').max > 3")
    box = dial.bounding_box()
    person.page.mouse.click(box["x"] + 0.3 * box["width"], box["y"] + box["height"] / 2)
    person.clicks += 1
    person.button("Use this")
    person.page.get_by_text("Target:", exact=False).first.wait_for()


def find_a_dropped_camera(person: Person) -> None:
    first = person.page.locator(".tile.bad").first
    first.locator(".chip", has_text="Offline").wait_for()
    person.click(first.locator("a"))
    person.page.locator("h1", has_text="north_gate").wait_for()


def share_a_clip(person: Person) -> None:
    person.link("Events")
    person.click(person.page.locator(".event", has_text="▶").locator("a").first)
    person.button("Copy link")
    person.page.get_by_role("link", name="Download clip").wait_for()


def log_out(person: Person) -> None:
    person.button("Log out")
    person.page.get_by_label("Token").wait_for()


TASKS: dict[str, Callable[[Person], None]] = {
    "find last night's event": last_nights_event,
    "silence the tree": silence_the_tree,
    "add a camera": add_a_camera,
    "why no alert": why_no_alert,
    "label normal": label_normal,
    "restore a scene": restore_a_scene,
    "change the dial": change_the_dial,
    "find a dropped camera": find_a_dropped_camera,
    "share a clip": share_a_clip,
    "log out": log_out,
}


def log_in(page: Any, url: str, token: str) -> None:
    page.goto(url)
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("navigation", name="Main").wait_for()


def tour(browser: Any, url: str, tasks: Iterable[str]) -> Table:
    """Do tasks, each from the wall."""
    from playwright.sync_api import Error

    table = Table("task", "clicks", "also", "seconds of the script", title="Ten tasks")
    for name, task in ((name, TASKS[name]) for name in tasks):
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.set_default_timeout(30_000)
        log_in(page, url, ADMIN)
        page.locator(".tile").first.wait_for()
        person, begin = Person(page), time.monotonic()
        try:
            task(person)
        except Error as error:
            person.also.append(f"FAILED: {str(error).splitlines()[0]}")
        seconds = f"{time.monotonic() - begin:.1f}"
        table.add_row(name, str(person.clicks), ", ".join(person.also), seconds)
        page.context.close()
    return table


def situations(browser: Any, url: str, api: httpx.Client, out: Path | None) -> Table:
    """Unusual situations, and what the page shows."""
    table = Table("situation", "the page shows", title="Situations")
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(60_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    def note(name: str, shown: Any) -> None:
        shown.wait_for()
        table.add_row(name, " ".join(shown.inner_text().split())[:110])
        if out is not None:
            page.screenshot(path=out / f"{name.replace(' ', '-')}.png")

    guest = api.post("/tokens", json={"name": "guest", "role": "viewer"}).json()["token"]
    log_in(page, url, guest)
    broken = page.locator(".broken")
    page.locator(".tile .age", has_text="Live").first.wait_for()
    context.set_offline(True)
    page.evaluate("location.hash = '#/system'")
    note("network lost: system page", page.locator(".problem").first)
    context.set_offline(False)
    page.goto(url)
    page.locator(".tile .age", has_text="Live").first.wait_for()
    workers = api.get("/service").json()["workers"]
    os.kill(next(one["pid"] for one in workers if one["name"] == "gateway"), signal.SIGKILL)
    note("gateway killed", broken)
    broken.wait_for(state="detached")
    page.locator(".tile .age", has_text="Live").first.wait_for()
    table.add_row("gateway is back", "live pictures, without another login")
    page.goto(f"{url}/#/cameras/{HOSTILE}")
    note("hostile camera name in the address", page.get_by_role("heading", level=1))
    answer = api.post("/cameras", json={"name": HOSTILE, "camera": {"source": "webcam:0"}})
    table.add_row("hostile camera name to the API", f"{answer.status_code}: {answer.text[:90]}")
    event = api.get("/events?limit=1").json()["events"][0]["id"]
    api.patch(f"/events/{event}", json={"note": f"{HOSTILE} {RIGHT_TO_LEFT}"}).raise_for_status()
    page.goto(f"{url}/#/events/{event}")
    page.get_by_label("Note").wait_for()
    table.add_row("hostile, right-to-left note", page.get_by_label("Note").input_value())
    api.delete("/tokens/guest").raise_for_status()
    page.goto(f"{url}/#/system")
    note("session ended: token revoked", page.locator(".login"))
    table.add_row("script errors, title", f"{errors or 'none'}, {page.title()}")
    context.close()
    return table


@contextmanager
def service(folder: Path) -> Iterator[tuple[str, httpx.Client]]:
    """The service of the tour, once there are an event with a clip and two scenes."""
    high = film(folder / "high.mp4", f"synthetic:street?seed=3&plan=demo&fps={RATE}", 125)
    with listen("127.0.0.1", 0) as listener:
        port = int(listener.getsockname()[1])
    config = Config.model_validate(
        {
            "detect": {"fps": RATE, "height": 180, "width": 240},
            "adapt": {"frames": 10, "interval": 0.8, "calibrate": 40},
            "alert": {"target_false_alarms_per_day": 144, "merge_gap": 1.5, "cooldown": 20},
            "metrics": {"port": 0},
            "api": {
                "enabled": True,
                "port": port,
                "tokens": {"ann": {"token": ADMIN, "role": "admin"}},
                "allow_file_roots": [str(folder)],
            },
            "cameras": {"north_gate": {"source": {"url": "rtsp://127.0.0.1:9/none"}}},
        }
    )
    data, stop = folder / "data", threading.Event()
    data.mkdir()
    night = time.time() - 86_400
    with EventStore(data / SQLITE_NAME) as store:
        old = Event("yard-1-1", "yard", 1, 1, night, 0.0, night + 8, 8.0, 2.4, night, 1, 9, "ready",
                    False, 80)  # fmt: skip
        store.save([old], {})
    headers = {"Authorization": f"Bearer {ADMIN}"}
    url = f"http://127.0.0.1:{port}"
    with (
        local_service(config, data, "ERROR") as supervisor,
        httpx.Client(base_url=f"{url}/api/v1", headers=headers, timeout=30) as api,
    ):
        thread = threading.Thread(target=supervisor.run, args=(stop,))
        thread.start()
        try:
            wait_for(lambda: _answers(api), 240)
            source = {"source": {"url": high, **LIVE}}
            api.post("/cameras", json={"name": "high_street", "camera": source}).raise_for_status()
            events = "/events?camera=high_street&limit=100"
            wait_for(lambda: any(one["clip"] for one in api.get(events).json()["events"]), 600)
            adapt = {"replace": [0]}
            api.post("/cameras/high_street/adapt", json=adapt).raise_for_status()
            wait_for(lambda: len(api.get("/cameras/high_street/scenes").json()["scenes"]) > 1, 90)
            wait_for(lambda: api.get("/cameras/high_street/alarms").json()["calibrated"], 120)
            yield url, api
        finally:
            stop.set()
            thread.join(60)


def _answers(api: httpx.Client) -> bool:
    try:
        return api.get("/cameras").status_code == 200
    except httpx.HTTPError:
        return False


def main() -> None:
    """Start the service, do the tasks, print two tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="folder for screenshots of the situations")
    parser.add_argument("--task", choices=TASKS, action="append", help="only this")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="path of the browser")
    given = parser.parse_args()
    if given.out is not None:
        given.out.mkdir(parents=True, exist_ok=True)
    from playwright.sync_api import sync_playwright

    sandbox = [] if os.getuid() else ["--no-sandbox"]
    with (
        tempfile.TemporaryDirectory(prefix="vedette-tour-") as folder,
        service(Path(folder)) as (url, api),
        sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(executable_path=given.chromium, args=sandbox)
        console = Console(width=130)
        console.print(tour(browser, url, given.task or TASKS))
        if given.task is None:
            console.print(situations(browser, url, api, given.out))
        browser.close()


if __name__ == "__main__":
    main()
