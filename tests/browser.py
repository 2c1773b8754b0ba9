"""A real browser for tests: Debian's Chromium, driven by Playwright, and its console messages.

On Debian: apt-get install chromium. FAIL_WITHOUT_CHROMIUM=1 turns skips into failures.
"""

import json
import os
import shutil
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

DASHBOARD = Path(__file__).parents[1] / "pipeline" / "gateway" / "dashboard"
AXE = DASHBOARD / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = ("serious", "critical")


def chromium() -> str:
    """Path of the browser; without it the test is skipped, or fails where it is required."""
    path = shutil.which("chromium")
    if path is None:
        _absent("chromium", "FAIL_WITHOUT_CHROMIUM", "on Debian: apt-get install chromium")
    assert path is not None
    return path


def node() -> str:
    """Path of Node with the packages of the dashboard installed."""
    path = shutil.which("node")
    if path is None or not AXE.is_file():
        how = "npm ci --ignore-scripts in pipeline/gateway/dashboard"
        _absent("node, or its packages", "FAIL_WITHOUT_NODE", how)
    assert path is not None
    return path


def _absent(what: str, variable: str, how: str) -> None:
    if os.environ.get(variable) == "1":
        pytest.fail(f"{variable}=1 and there is no {what}")
    pytest.skip(f"no {what} on this machine ({how})")


class Browser:
    """Opens pages and collects their errors; starts with the first page."""

    def __init__(self, url: str) -> None:
        self._stack = ExitStack()
        self._browser: Any = None
        self.url = url
        self.problems: list[str] = []
        self.tolerated: Callable[[str], bool] = lambda text: False

    def page(self, width: int = 1280, height: int = 900, **context: Any) -> Any:
        """A page in a new context without cookies."""
        if self._browser is None:
            self._start()
        person = self._browser.new_context(viewport={"width": width, "height": height}, **context)
        person.set_default_timeout(20_000)
        page = person.new_page()
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self._record("error", f"exception: {error}"))
        page.on("request", lambda request: self._check_origin(request.url))
        return page

    def _start(self) -> None:
        from playwright.sync_api import sync_playwright

        playwright = self._stack.enter_context(sync_playwright())
        # As root, as in containers, Chromium does not run in its sandbox.
        sandbox = [] if os.getuid() else ["--no-sandbox"]
        self._browser = playwright.chromium.launch(executable_path=chromium(), args=sandbox)
        self._stack.callback(self._browser.close)

    def close(self) -> None:
        """Close it; in the thread that opened the first page."""
        self._stack.close()

    def _listen(self, message: Any) -> None:
        where = message.location.get("url", "")
        # Chromium logs every refusal; the page expects this one when there is no session.
        if not (where.endswith("/api/v1/session") and "401" in message.text):
            self._record(message.type, f"{message.type}: {message.text} ({where})")

    def _record(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not self.tolerated(text):
            self.problems.append(text)

    def _check_origin(self, url: str) -> None:
        if not url.startswith((self.url, "blob:", "data:", self.url.replace("http", "ws", 1))):
            self.problems.append(f"a request leaves the service: {url}")

    def log_in(self, page: Any, token: str, path: str = "") -> None:
        """Log in with a token."""
        page.goto(f"{self.url}/{path}")
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("navigation", name="Main").wait_for()


def run_in_thread(test: pytest.Function) -> None:
    """Run a test that drives a browser in a thread of its own, and close the browser there.

    Playwright switches greenlets, after which Python 3.11 cannot parse code in the same thread any
    more ("AST constructor recursion depth mismatch").
    """
    errors: list[BaseException] = []
    given = {name: test.funcargs[name] for name in test._fixtureinfo.argnames}

    def body() -> None:
        try:
            test.obj(**given)
        except BaseException as error:
            errors.append(error)
        finally:
            for one in given.values():
                if isinstance(one, Browser):
                    one.close()

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


def faults(page: Any) -> list[str]:
    """Serious violations that axe-core finds, one line each."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    lines = []
    for one in found["violations"]:
        if one["impact"] in SERIOUS:
            where = [node["html"][:160] for node in one["nodes"][:3]]
            lines.append(f"{one['id']}: {one['help']}: {json.dumps(where)}")
    return lines


def overflow(page: Any) -> int:
    """Number of pixels by which a page is wider than the screen."""
    script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    pixels: int = page.evaluate(script)
    return pixels
