"""Section about the communication between the processes of one service."""

import ipaddress
from typing import Literal

from pydantic import Field, field_validator

from pipeline.config.base import Count, Section

LAST_FIRST_PORT = 65531
"""Every topic uses one of five consecutive ports; the last possible one is 65535."""


class TransportSection(Section):
    """Communication between the processes of the service."""

    kind: Literal["ipc", "tcp"] = "ipc"
    """ipc: sockets in a private folder; tcp: ports at `host`."""
    host: str = "127.0.0.1"
    """tcp: numeric address of this machine on which the processes listen and connect."""
    port: Count = Field(default=0, ge=0, le=LAST_FIRST_PORT)
    """tcp: the first of five consecutive ports; 0: any free ports."""
    curve: bool = True
    """tcp: encrypt, and admit only workers of this run."""

    @field_validator("host")
    @classmethod
    def _is_one_address(cls, host: str) -> str:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            raise ValueError("want a numeric address, such as 127.0.0.1") from None
        if address.is_unspecified or address.is_multicast:
            raise ValueError("want one address of this machine, to which its workers can connect")
        return host
