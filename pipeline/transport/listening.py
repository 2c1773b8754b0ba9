"""TCP addresses that this machine listens on: one way for all servers, and for who looks before."""

import os
import socket


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        host: Name or address, IPv4 or IPv6.
        port: 0: a free one.

    Raises:
        OSError: no such host, no address of this machine, or in use; `strerror` says which.
    """
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        # The library adds a sentence about its attempt, with the address once more.
        raise OSError(error.errno, os.strerror(error.errno or 0)) from error


def shown(host: str, port: int) -> str:
    """An address for people: IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
