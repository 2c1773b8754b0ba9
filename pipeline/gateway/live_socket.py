"""One WebSocket per tab: pictures of the cameras in view, and live scores, events and states.

The browser sends `{"small": [cameras], "full": camera or null}` whenever its view changes, and
an empty view while the tab is hidden. It receives JSON texts `{"scores": {…}, "events": […],
"states": […]}` and binary pictures (see `picture_feed`), and answers each picture with the text
`drawn`. The next pictures are sent only then: otherwise a slow browser or network would queue
pictures in its buffers, and show old ones.
"""

import asyncio
import json
from contextlib import suppress
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.config.base import Name
from pipeline.gateway.authentication import DeniedError
from pipeline.gateway.dependencies import State, TheState
from pipeline.gateway.live import TooManyWatchersError, Watcher
from pipeline.gateway.picture_feed import PictureViewer
from pipeline.gateway.sessions import COOKIE

router = APIRouter()

LOGGED_OUT = 4401
CROWDED = 4503
_QUEUE = 1024
_BATCH_SECONDS = 0.1
_CHECK_SECONDS = 15.0
_DRAWN = "drawn"
_LONGEST_DRAWING_SECONDS = 5.0
"""After so long without an answer pictures are sent nevertheless."""
_KINDS = frozenset({"score", "event", "state"})
_SCORE_FIELDS = (
    "captured_at", "scored_at", "score", "threshold", "state", "progress", "learning", "terms",
    "dropped", "connection", "index",
)  # fmt: skip


class TabView(BaseModel):
    """What a tab has in view."""

    model_config = ConfigDict(extra="forbid", strict=True)

    small: list[Name] = Field(default=[], max_length=256)
    full: Name | None = None


@router.websocket("/api/v1/ws")
async def live_socket(socket: WebSocket, state: TheState) -> None:
    """Serve one tab."""
    cookie = socket.cookies.get(COOKIE)
    # Accepted first: before that a browser does not see why a socket is refused.
    await socket.accept()
    try:
        state.guard.admit_session("viewer", cookie, None, True)
        with state.feed.watching(None, _KINDS, _QUEUE) as watcher, state.pictures.watching() as tab:
            await _serve(socket, state, watcher, tab)
    except DeniedError as error:
        await _close(socket, LOGGED_OUT, str(error))
    except TooManyWatchersError as error:
        await _close(socket, CROWDED, str(error))


async def _serve(socket: WebSocket, state: State, watcher: Watcher, tab: PictureViewer) -> None:
    lock = asyncio.Lock()
    tasks = [
        asyncio.create_task(_listen(socket, state, tab)),
        asyncio.create_task(_send_updates(socket, lock, watcher)),
        asyncio.create_task(_send_pictures(socket, lock, tab)),
        asyncio.create_task(_check(socket, state)),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            with suppress(WebSocketDisconnect, RuntimeError):
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await _close(socket, 1001, "")


async def _listen(socket: WebSocket, state: State, tab: PictureViewer) -> None:
    while True:
        text = await socket.receive_text()
        if text == _DRAWN:
            tab.drawn()
            continue
        try:
            view = TabView.model_validate_json(text)
        except ValidationError:
            await _close(socket, 1008, 'want {"small": [cameras], "full": camera or null}')
            return
        state.pictures.want(tab, view.small, view.full)


async def _send_updates(socket: WebSocket, lock: asyncio.Lock, watcher: Watcher) -> None:
    while True:
        batch = [await watcher.queue.get()]
        await asyncio.sleep(_BATCH_SECONDS)
        while not watcher.queue.empty():
            batch.append(watcher.queue.get_nowait())
        scores: dict[str, dict[str, Any]] = {}
        events: list[dict[str, Any]] = []
        states: list[dict[str, Any]] = []
        for update in batch:
            if update is None:  # the service stops
                return
            kind, body = update
            if kind == "score":
                scores[body["camera"]] = {name: body.get(name) for name in _SCORE_FIELDS}
            else:
                (events if kind == "event" else states).append(body)
        message = {"scores": scores, "events": events, "states": states}
        text = json.dumps(message, allow_nan=False, separators=(",", ":"))
        async with lock:
            await socket.send_text(text)


async def _send_pictures(socket: WebSocket, lock: asyncio.Lock, tab: PictureViewer) -> None:
    while True:
        for message in await tab.take():
            async with lock:
                await socket.send_bytes(message)
        with suppress(TimeoutError):
            await asyncio.wait_for(tab.all_drawn.wait(), _LONGEST_DRAWING_SECONDS)


async def _check(socket: WebSocket, state: State) -> None:
    """Close the socket when the session has ended."""
    while True:
        await asyncio.sleep(_CHECK_SECONDS)
        try:
            state.guard.admit_session("viewer", socket.cookies.get(COOKIE), None, True)
        except DeniedError as error:
            await _close(socket, LOGGED_OUT, str(error))
            return


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    with suppress(RuntimeError, WebSocketDisconnect):  # the browser may have closed it already
        await socket.close(code, reason[:100])
