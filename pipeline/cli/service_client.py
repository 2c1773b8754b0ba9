"""Client of the REST API of a running service, for the command line."""

import os
from pathlib import Path
from typing import Any

import httpx

from pipeline.cli.service_options import URL_VARIABLE

TOKEN_VARIABLE = "VEDETTE_TOKEN"
_TIMEOUT_SECONDS = 20.0


class ServiceClientError(ValueError):
    """The service is unreachable, or refuses; the text says what to do."""


class ServiceClient:
    """A running service; the token comes from the environment, where no other user can see it."""

    def __init__(self, url: str, ca_file: Path | None = None) -> None:
        """Open the client.

        Raises:
            ServiceClientError: the address is malformed, or the certificate cannot be read.
        """
        token = os.environ.get(TOKEN_VARIABLE)
        self.url = url.rstrip("/")
        try:
            self._client = httpx.Client(
                base_url=url,
                headers={"Authorization": f"Bearer {token}"} if token else {},
                timeout=_TIMEOUT_SECONDS,
                trust_env=False,  # requests to a camera service must not go through a proxy
                verify=str(ca_file) if ca_file else True,
            )
        except (httpx.InvalidURL, UnicodeError, OSError) as error:
            raise ServiceClientError(f"{url}: cannot be used: {error}") from None

    def ask(self, method: str, path: str, body: object = None, **parameters: object) -> Any:
        """Send a request, and return the content of the answer.

        Args:
            method: Of HTTP.
            path: Below /api/v1.
            body: Sent as JSON; None: nothing.
            parameters: Of the query; those that are None are left out.

        Raises:
            ServiceClientError: no answer, or a refusal.
        """
        given = {name: str(value) for name, value in parameters.items() if value is not None}
        try:
            answer = self._client.request(method, f"/api/v1{path}", params=given, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ServiceClientError(
                f"no service at {self.url} ({reason}); want `vedette run` with api.enabled, "
                f"or its address in --url or {URL_VARIABLE}"
            ) from None
        if answer.is_success:
            return answer.json() if answer.content else None
        detail = _detail(answer)
        if answer.status_code == 401:
            detail += f"; set {TOKEN_VARIABLE}"
        raise ServiceClientError(f"{detail} ({answer.status_code})")


def _detail(answer: httpx.Response) -> str:
    try:
        found = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return "want the API of Vedette, got something else"
    return str(found)
