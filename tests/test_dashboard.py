"""The dashboard in a real browser, against the real service and a synthetic street over real RTSP.

The tests build on each other: log in, attach a camera, watch it adapt, open an event, draw a mask,
move the dial.
"""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import pytest
from browser import Browser, chromium, faults, node, overflow
from mqtt_broker import free_port

from cameras.simulation import open_synthetic
from cameras.simulation.rtsp_server import Mount, RtspAuthentication, RtspServer
from cameras.source import SourceOptions
from pipeline.config import Config
from pipeline.runtime.local_engine import local_service

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

ADMIN = "admin-token-0123456789"
VIEWER = "viewer-token-0123456789"
PASSWORD = "planted-camera-pass"
HOSTILE = '<img src=x onerror="document.title=1"> שלום عربى 東京'
RATE = 10


@dataclass
class Service:
    """The service and its camera."""

    url: str
    camera: str
    api: httpx.Client
    server: RtspServer

    def wait_for(self, condition: Callable[[], Any], seconds: float = 120.0) -> Any:
        """Wait until a condition returns a true value, and return it."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, f"not within {seconds:g} s"
            time.sleep(0.2)
        return found

    def events(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api.get("/events").json()["events"]
        return found


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    chromium()
    port = free_port()
    config = Config.model_validate(
        {
            "detect": {"fps": RATE, "height": 120, "width": 160},
            "adapt": {"frames": 6, "spare": 2, "interval": 0.4, "calibrate": 6},
            "alert": {"target_false_alarms_per_day": 144, "merge_gap": 1.5, "cooldown": 0},
            "record": {"pre_capture": 2, "post_capture": 2},
            "metrics": {"port": 0},
            "scoring": {"device": "cpu", "threads": 1},
            "api": {
                "enabled": True,
                "port": port,
                "tokens": {
                    "ann": {"token": ADMIN, "role": "admin"},
                    "vic": {"token": VIEWER},
                },
            },
            "cameras": {},
        }
    )
    street = open_synthetic(f"synthetic:street?seed=3&plan=demo&fps={RATE}", SourceOptions())
    mounts = {"street": Mount(lambda: street, frames_per_second=RATE)}
    guard = RtspAuthentication("demo", PASSWORD)
    folder = tmp_path_factory.mktemp("dashboard")
    url = f"http://127.0.0.1:{port}"
    stop = Event()
    with (
        RtspServer(mounts, authentication=guard) as server,
        local_service(config, folder, "WARNING") as supervisor,
        httpx.Client(
            base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {ADMIN}"}, timeout=20
        ) as api,
    ):
        thread = Thread(target=supervisor.run, args=(stop,))
        thread.start()
        try:
            service = Service(url, server.address("street"), api, server)
            service.wait_for(lambda: _answers(f"{url}/readyz"), 240)
            yield service
        finally:
            stop.set()
            thread.join(60)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture
def person(service: Service) -> Iterator[Browser]:
    opened = Browser(service.url)
    yield opened
    assert not opened.problems, opened.problems


def test_log_in_and_roles(person: Browser) -> None:
    person.tolerated = lambda text: "401" in text or "403" in text
    page = person.page()
    page.goto(person.url)
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    page.get_by_text("want a token", exact=False).wait_for()
    person.log_in(page, VIEWER)
    page.get_by_text("Ask an admin to attach a camera.").wait_for()
    assert page.get_by_role("link", name="Add camera").count() == 0
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    script = "() => fetch('api/v1/cameras/x', {method: 'DELETE'}).then((answer) => answer.status)"
    assert page.evaluate(script) == 403
    page.get_by_role("button", name="Log out").click()
    page.get_by_label("Token").wait_for()
    assert page.evaluate("() => fetch('api/v1/cameras').then((answer) => answer.status)") == 401


def test_attach_by_the_wizard(person: Browser, service: Service) -> None:
    page = person.page()
    person.log_in(page, ADMIN)
    page.get_by_role("link", name="Attach your first camera").click()
    address = page.get_by_label("Address of its stream")
    check = page.get_by_role("button", name="Check", exact=True)
    for wrong, said in (
        (service.camera.replace(PASSWORD, "guess"), "refuses this user or password"),
        (f"{service.camera}x", "but not for this path"),
        ("ftp://127.0.0.1/x", "This address cannot be used."),
    ):
        address.fill(wrong)
        check.click()
        page.get_by_role("alert").get_by_text(said, exact=False).wait_for()
        assert PASSWORD not in page.get_by_role("alert").inner_text()
    address.fill(service.camera)
    check.click()
    page.get_by_alt_text("What the camera sees").wait_for()
    name = page.get_by_label("Name")
    name.fill("a b")
    page.get_by_text('Letters, digits, "_" and "-".').wait_for()
    name.fill("street")
    begun = time.monotonic()
    page.get_by_role("button", name="Watch it").click()
    page.get_by_text("Adapting to the normal scene", exact=False).wait_for()
    page.locator("li.current", has_text="Watching").wait_for(timeout=90_000)
    assert time.monotonic() - begun < 60
    page.get_by_role("link", name="Open the camera").click()
    page.get_by_text("events begin at 1.00", exact=False).wait_for()


def test_pictures_are_live_only_in_view(person: Browser) -> None:
    page = person.page()
    person.log_in(page, VIEWER)
    tile = page.locator(".tile canvas").first
    stamp = "canvas => canvas.dataset.capturedAt"
    page.locator(".tile .age", has_text="Live").wait_for()
    before = tile.evaluate(stamp)
    page.wait_for_function(
        "before => document.querySelector('.tile canvas').dataset.capturedAt !== before",
        arg=before,
    )
    # Age of the shown frame: from its arrival to the screen.
    age = page.evaluate(
        """() => new Promise((done) => {
          const canvas = document.querySelector('.tile canvas');
          new MutationObserver(() => done(Date.now() / 1000 - canvas.dataset.capturedAt))
            .observe(canvas, {attributes: true, attributeFilter: ['data-captured-at']});
        })"""
    )
    assert age < 6
    page.evaluate(
        """() => {
          Object.defineProperty(document, 'hidden', {value: true, configurable: true});
          document.dispatchEvent(new Event('visibilitychange'));
        }"""
    )
    page.wait_for_timeout(1500)  # pictures already sent
    frozen = tile.evaluate(stamp)
    page.wait_for_timeout(1500)
    assert tile.evaluate(stamp) == frozen


def test_dial_and_the_event_that_it_raises(person: Browser, service: Service) -> None:
    page = person.page()
    person.log_in(page, ADMIN, "#/cameras/street?tab=dial")
    dial = page.get_by_label("False alarms a day")
    dial.focus()
    page.keyboard.press("End")
    page.locator(".dial .big", has_text="1440 a day").wait_for()
    page.get_by_text("Events would begin at a score of", exact=False).wait_for()
    page.get_by_role("button", name="Use this").click()
    page.get_by_text("Target: 1440 a day.").wait_for()
    page.get_by_text("(current setting)", exact=False).wait_for()
    alert = service.api.get("/cameras/street").json()["settings"]["alert"]
    assert alert["target_false_alarms_per_day"] == 1440

    page.get_by_role("link", name="Events", exact=True).first.click()
    page.locator(".event").first.wait_for(timeout=120_000)  # without a reload
    service.wait_for(lambda: [one for one in service.events() if one["clip"]])


def test_event_its_clip_and_its_annotations(person: Browser, service: Service) -> None:
    event = next(one for one in service.events() if one["clip"])
    page = person.page()
    person.log_in(page, ADMIN, "#/events")
    page.locator(f'a[href="#/events/{event["id"]}"]').first.click()
    page.wait_for_function(
        "() => { const video = document.querySelector('video');"
        " return video && video.currentTime > 0.3; }"
    )
    page.locator(".terms dt", has_text="Motion").wait_for()
    page.locator(".chart canvas").wait_for()
    page.get_by_role("button", name="Acknowledge", exact=True).click()
    page.get_by_role("button", name="Acknowledged ✓").wait_for()
    page.get_by_label("Note").fill(HOSTILE)
    page.get_by_role("button", name="Save the note").click()
    page.get_by_text("Note saved").wait_for()
    page.get_by_role("button", name="This is normal").click()
    page.get_by_text("Labelled: Normal").wait_for()
    kept = service.api.get(f"/events/{event['id']}").json()
    assert (kept["note"], kept["label"]) == (HOSTILE, "normal")
    assert kept["acknowledged_at"] is not None
    page.reload()
    assert page.get_by_label("Note").input_value() == HOSTILE
    assert page.title() == "Event · Vedette"
    page.keyboard.press("Escape")
    page.get_by_label("Any label").select_option("normal")
    page.locator(".event .tag", has_text="Normal").wait_for()
    assert page.locator(".event").count() == 1


def test_mask_is_drawn_and_hides_its_area(person: Browser, service: Service) -> None:
    person.tolerated = lambda text: "getImageData" in text  # the test reads the pixels
    page = person.page()
    person.log_in(page, ADMIN, "#/cameras/street?tab=areas")
    page.get_by_label("Name").fill("tree")
    page.get_by_role("button", name="Draw a mask").click()
    box = page.locator("svg.areas").bounding_box()

    def at(x: float, y: float) -> tuple[float, float]:
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    for x, y in ((0.1, 0.1), (0.6, 0.1), (0.6, 0.7), (0.3, 0.9)):
        page.mouse.click(*at(x, y))
    page.keyboard.press("Control+z")
    page.mouse.click(*at(0.1, 0.7))
    page.keyboard.press("Enter")
    page.mouse.move(*at(0.6, 0.7))  # drag a corner
    page.mouse.down()
    page.mouse.move(*at(0.5, 0.6), steps=4)
    page.mouse.up()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.", exact=False).wait_for()
    camera = service.api.get("/cameras/street").json()
    numbers = [float(n) for n in camera["settings"]["masks"]["tree"]["coordinates"].split(",")]
    assert numbers == pytest.approx([0.1, 0.1, 0.6, 0.1, 0.5, 0.6, 0.1, 0.7], abs=0.02)
    # The masked area is blacked out before a frame is shown.
    page.wait_for_function(
        """() => {
          const canvas = document.querySelector('.camera-page .picture canvas');
          const [x, y] = [Math.round(0.2 * canvas.width), Math.round(0.3 * canvas.height)];
          const [r, g, b] = canvas.getContext('2d').getImageData(x, y, 1, 1).data;
          return r + g + b < 60;
        }""",
        timeout=60_000,
    )
    # By keyboard: choose it, delete it.
    page.get_by_role("button", name=re.compile("^tree mask")).click()
    page.locator("svg.areas").focus()
    page.keyboard.press("Delete")
    page.get_by_role("button", name="Save").click()
    service.wait_for(lambda: not service.api.get("/cameras/street").json()["settings"]["masks"])


def test_schedule_is_edited(person: Browser, service: Service) -> None:
    person.tolerated = lambda text: "422" in text
    page = person.page()
    person.log_in(page, ADMIN, "#/cameras/street?tab=schedule")
    page.get_by_text("Always.").wait_for()
    page.get_by_role("button", name="Add hours").click()
    page.get_by_text("next day").wait_for()
    page.get_by_role("checkbox", name="Sa").check()
    page.get_by_label("to", exact=True).fill("06:30")
    page.get_by_label("Time zone").fill("Europe/Atlantis")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("want a name of a time zone", exact=False).wait_for()
    page.get_by_label("Time zone").fill("Europe/Berlin")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    stored = service.api.get("/cameras/street").json()["settings"]["alert"]["schedule"]
    hours = ["mon,tue,wed,thu,fri,sat 18:00-06:30"]
    assert stored == {"timezone": "Europe/Berlin", "active": hours}
    page.reload()
    assert page.get_by_label("to", exact=True).input_value() == "06:30"
    page.get_by_role("button", name="Remove these hours").click()
    page.get_by_role("button", name="Save").click()
    service.wait_for(
        lambda: not service.api.get("/cameras/street").json()["settings"]["alert"]["schedule"]
    )


def test_frames_are_replaced_and_the_scene_is_restored(person: Browser, service: Service) -> None:
    page = person.page()
    person.log_in(page, ADMIN, "#/cameras/street?tab=scenes")
    page.locator(".thumbnail img").first.wait_for()
    scenes = service.api.get("/cameras/street/scenes").json()["scenes"]
    page.get_by_role("button", name="Adapt again").click()
    frames = page.locator(".support button")
    frames.nth(1).click()
    frames.nth(3).click()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.support img')].every((one) => one.naturalWidth)"
    )
    assert frames.count() == 6
    page.get_by_role("button", name="Replace 2 frames").click()
    page.get_by_text("Adapting again").wait_for()
    page.get_by_text("frames replaced").first.wait_for(timeout=60_000)
    found = service.wait_for(
        lambda: (
            (now := service.api.get("/cameras/street/scenes").json()["scenes"])
            and len(now) > len(scenes)
            and now
        )
    )
    assert (found[0]["reason"], found[0]["current"]) == ("frames replaced", True)
    page.locator(".scenes li", has_text="frames replaced").locator(".tag").wait_for()
    page.get_by_role("button", name="Restore").first.click()
    page.get_by_text("The scene is in use again.").wait_for()


def test_system_shows_stages_and_receivers(person: Browser) -> None:
    page = person.page()
    person.log_in(page, ADMIN, "#/system")
    page.get_by_role("row", name=re.compile("^Score a batch .* ms")).wait_for()
    page.get_by_role("heading", name="Receivers of notifications").wait_for()
    page.get_by_text("None is configured.").wait_for()


PAGES = (
    "",
    "#/events",
    "#/cameras/street",
    "#/cameras/street?tab=scenes",
    "#/cameras/street?tab=schedule",
    "#/cameras/street?tab=settings",
    "#/attach",
    "#/system",
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_accessibility_fault(person: Browser, scheme: str, service: Service) -> None:
    node()
    event = service.events()[0]["id"]
    page = person.page(bypass_csp=False, color_scheme=scheme)
    person.log_in(page, ADMIN)
    for path in (*PAGES, f"#/events/{event}"):
        page.goto(f"{person.url}/{path}")
        page.get_by_role("heading", level=1).wait_for()
        page.wait_for_timeout(500)
        assert faults(page) == [], path


@pytest.mark.parametrize("width", [390, 1280, 2560])
def test_nothing_is_wider_than_the_screen(person: Browser, width: int, service: Service) -> None:
    event = service.events()[0]["id"]
    page = person.page(width, 900)
    person.log_in(page, ADMIN)
    for path in (*PAGES, f"#/events/{event}"):
        page.goto(f"{person.url}/{path}")
        page.get_by_role("heading", level=1).wait_for()
        assert overflow(page) <= 0, path


def test_page_is_small_and_paints_quickly(person: Browser) -> None:
    page = person.page()
    loaded: list[int] = []
    page.on("response", lambda answer: loaded.append(len(answer.body())))
    page.goto(person.url)
    page.get_by_label("Token").wait_for()
    assert sum(loaded) < 300_000
    paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
    assert page.evaluate(paint) < 3000  # 200 ms on a machine that does nothing else


def test_lost_gateway_and_lost_camera_are_shown(person: Browser, service: Service) -> None:
    person.tolerated = lambda text: "WebSocket" in text or "Failed to load" in text
    page = person.page()
    person.log_in(page, VIEWER)
    page.locator(".tile .age", has_text="Live").wait_for()
    workers = service.api.get("/service").json()["workers"]
    (gateway,) = (one for one in workers if one["name"] == "gateway")
    os.kill(gateway["pid"], signal.SIGKILL)
    page.get_by_text("What you see is not live.", exact=False).wait_for()
    # It recovers without another login.
    page.locator(".tile .age", has_text="Live").wait_for(timeout=60_000)
    page.get_by_text("What you see is not live.", exact=False).wait_for(state="detached")

    service.server.stop()
    page.get_by_text("Not live. Last picture", exact=False).wait_for(timeout=60_000)
    page.get_by_text("Offline since", exact=False).wait_for(timeout=60_000)


def test_screens_of_the_repository_are_of_these_pages() -> None:
    images = Path(__file__).parents[1] / "docs" / "images"
    for path in images.glob("dashboard-*"):
        assert path.stat().st_size < 250_000, path
