"""Webhooks: events as signed JSON by POST. docs/sinks.md describes how to verify them."""

import errno
import hashlib
import hmac
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from pipeline.config import Webhook
from pipeline.notifiers.outbox_message import OutboxMessage
from pipeline.notifiers.retry_policy import Delivered, Failed, Outcome, Refused
from pipeline.worker import PermanentError

SIGNATURE_HEADER = "X-Vedette-Signature"
TIMESTAMP_HEADER = "X-Vedette-Timestamp"
KEY_HEADER = "Idempotency-Key"
_RETRY_STATUS = {408, 425, 429}
_REFUSED_STATUS = {413, 414, 415, 422, 431}
GIVE_UP_SECONDS = 600.0
"""For how long a status such as 404 may come from a proxy whose server is being restarted."""
# The library would log paths, which may be as sensitive as passwords.
logging.getLogger("urllib3").setLevel(logging.WARNING)


class _NotConnectedError(Exception):
    """No connection was made: the message cannot be the cause."""


class WebhookNotifier:
    """One HTTP server."""

    def __init__(
        self, name: str, settings: Webhook, clock: Callable[[], float] = time.time
    ) -> None:
        """Read the settings; nothing is opened yet.

        Raises:
            PermanentError: the file of the certificate authority cannot be used.
        """
        self._settings = settings
        self._clock = clock
        parts = urlsplit(settings.url)
        self._host, self._port = parts.hostname or "", parts.port
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._context: ssl.SSLContext | None = None
        if parts.scheme == "https":
            try:
                self._context = ssl.create_default_context(cafile=settings.ca)
            except (OSError, ssl.SSLError) as error:
                raise PermanentError(
                    f"webhooks.{name}.ca: want a file in PEM, got {settings.ca}: {error}"
                ) from None

    def deliver(self, queued_message: OutboxMessage) -> Outcome:
        """Send one message, and evaluate the answer."""
        body = queued_message.body.encode()
        timestamp = str(int(self._clock()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"vedette/{version('vedette')}",
            KEY_HEADER: queued_message.key,
            TIMESTAMP_HEADER: timestamp,
        }
        if self._settings.secret is not None:
            headers[SIGNATURE_HEADER] = signature(self._settings.secret, timestamp, body)
        try:
            status, retry_after = self._post(body, headers)
        except _NotConnectedError as error:
            return Failed(f"no connection to {self._host} ({error})", unreachable=True)
        except (HTTPError, OSError, ValueError) as error:
            # Only the kind of error: some texts contain the address.
            return Failed(f"no answer from {self._host} ({_kind_of(error)})")
        return outcome_of(status, retry_after, self._clock())

    def refresh(self, now: float) -> None:
        """Nothing to do besides messages."""

    def close(self) -> None:
        """Nothing is open between messages."""

    def _post(self, body: bytes, headers: dict[str, str]) -> tuple[int, str | None]:
        """Status and Retry-After; the response body is not read, redirects are not followed."""
        seconds = self._settings.timeout
        connection = (
            HTTPConnection(self._host, self._port, timeout=seconds)
            if self._context is None
            else HTTPSConnection(self._host, self._port, timeout=seconds, ssl_context=self._context)
        )
        # The library's time-out restarts with every byte; this one does not.
        late = threading.Event()
        timer = threading.Timer(seconds, _cut, [connection, late])
        timer.daemon = True
        timer.start()
        try:
            try:
                connection.connect()
                if late.is_set():
                    raise TimeoutError(errno.ETIMEDOUT, "no connection in time")
            except (HTTPError, OSError) as error:
                raise _NotConnectedError(_kind_of(error)) from error
            connection.request("POST", self._target, body=body, headers=headers)
            answer = connection.getresponse()
            if late.is_set():  # an incomplete answer may look complete
                raise TimeoutError(errno.ETIMEDOUT, "no whole answer in time")
            return answer.status, answer.headers.get("Retry-After")
        finally:
            timer.cancel()
            connection.close()


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """`sha256=` and the hexadecimal HMAC-SHA256 of timestamp, full stop and body."""
    signed = f"{timestamp}.".encode() + body
    return "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def outcome_of(status: int, retry_after: str | None, now: float) -> Outcome:
    """Outcome of a delivery for an HTTP status; `now` in Unix seconds."""
    if 200 <= status < 300:
        return Delivered()
    reason = f"got HTTP status {status}, want 2xx"
    requested = retry_after_seconds(retry_after, now)
    if status in _RETRY_STATUS or status >= 500:
        return Failed(reason, requested)
    if status in _REFUSED_STATUS:
        return Refused(reason)
    if 300 <= status < 400:
        reason += "; redirects are not followed"
    return Failed(reason, requested, give_up_seconds=GIVE_UP_SECONDS)


def retry_after_seconds(value: str | None, now: float) -> float | None:
    """Wait that a Retry-After header requests, from `now` in Unix seconds; None: no wait."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _cut(connection: HTTPConnection, late: threading.Event) -> None:
    """Shut down a connection while another thread reads from it."""
    late.set()
    sock = connection.sock
    if sock is not None:
        with suppress(OSError):
            # Not the method of the TLS socket, which may wait for its peer.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _kind_of(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
