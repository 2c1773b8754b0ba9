"""How the processes of one service reach each other."""

import ipaddress
from typing import Literal

from pydantic import Field, field_validator

from pipeline.config.base import Count, Section

LAST_FIRST_PORT = 65531
"""Every topic takes a port, one after the other; the last one is 65535."""


class TransportSection(Section):
    """How the processes of the service speak to each other."""

    kind: Literal["ipc", "tcp"] = "ipc"
    """ipc: sockets in a private folder; tcp: ports at `host`."""
    host: str = "127.0.0.1"
    """tcp: address of this machine, in numbers, at which the processes listen and connect."""
    port: Count = Field(default=0, ge=0, le=LAST_FIRST_PORT)
    """tcp: the first of five ports, one after the other; 0: any free ones."""
    curve: bool = True
    """tcp: encrypt, and let in nobody but workers of this run."""

    @field_validator("host")
    @classmethod
    def _is_one_address(cls, host: str) -> str:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            raise ValueError("want an address in numbers, such as 127.0.0.1") from None
        if address.is_unspecified or address.is_multicast:
            raise ValueError("want one address of this machine: its workers connect to it, too")
        return host
