"""The gateway worker: serves the REST API from its own process."""

import asyncio
import logging
import socket
import ssl
from typing import Any

import uvicorn

from pipeline.config import Api
from pipeline.gateway.app import create_app
from pipeline.gateway.authentication import Authenticator, ExposedError, is_loopback
from pipeline.gateway.live import LiveFeed
from pipeline.gateway.picture_feed import PictureFeed
from pipeline.gateway.service import Service
from pipeline.gateway.tokens import TokenError
from pipeline.transport.commands import GetOverview
from pipeline.transport.listening import listen, shown
from pipeline.transport.messages import Live
from pipeline.worker import PermanentError, WorkerContext

LOG = logging.getLogger(__name__)

_TURN_SECONDS = 0.2
_DRAIN_SECONDS = 2
_STATES_SECONDS = 2.0


def run(context: WorkerContext) -> None:
    """Entry of the worker: serve until stopped.

    Raises:
        PermanentError: the tokens, the certificate or the address cannot be used.
    """
    config, run_info = context.spec.config, context.spec.run
    api = config.api
    try:
        guard = Authenticator(api, run_info.data_folder)
    except (ExposedError, TokenError) as error:
        raise PermanentError(str(error)) from error
    service = Service(config, run_info)

    def states() -> dict[str, tuple[str, str]]:
        found: Any = service.ask(GetOverview(), _STATES_SECONDS).body["cameras"]
        return {one["name"]: (one["state"], one["reason"]) for one in found}

    pictures = PictureFeed(run_info.endpoints)

    def take(live: Live) -> None:
        service.note_end(live)
        pictures.take(live)

    feed = LiveFeed(run_info.endpoints, states, take)
    server = uvicorn.Server(_settings(api, create_app(service, guard, feed, pictures)))
    listener = _listen(api)
    scheme = "https" if api.tls else "http"
    LOG.info("API on %s://%s", scheme, shown(api.host, listener.getsockname()[1]))
    if guard.open:
        LOG.warning("API without tokens: every user of this machine has access")
    elif api.tls is None and not is_loopback(api.host):
        LOG.warning("API without TLS: tokens can be intercepted on the network")
    feed.start()
    pictures.start()
    try:
        asyncio.run(_serve(server, listener, feed, context))
    finally:
        pictures.close()
        service.close()
        listener.close()


async def _serve(
    server: uvicorn.Server, listener: socket.socket, feed: LiveFeed, context: WorkerContext
) -> None:
    serving = asyncio.create_task(server.serve([listener]))
    while not context.stop.is_set() and not serving.done():
        context.watchdog.beat()
        if server.started:
            context.ready.set()
        await asyncio.sleep(_TURN_SECONDS)
    await asyncio.to_thread(feed.close)  # first: its streams never end by themselves
    server.should_exit = True
    await serving


def _settings(api: Api, app: Any) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="websockets-sansio",
        ws_max_size=65_536,
        ws_per_message_deflate=False,  # pictures are compressed
        lifespan="off",
        limit_concurrency=200,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
        ssl_certfile=api.tls.certificate if api.tls else None,
        ssl_keyfile=str(api.tls.key) if api.tls else None,
        ssl_version=ssl.PROTOCOL_TLS_SERVER,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise PermanentError(
            f"api.tls: want a certificate and its key in PEM, got {type(error).__name__} "
            f"({error.strerror})"
        ) from error
    return config


def _listen(api: Api) -> socket.socket:
    try:
        return listen(api.host, api.port)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise PermanentError(
            f"api.host, api.port: cannot listen on {shown(api.host, api.port)}: {reason}"
        ) from error
