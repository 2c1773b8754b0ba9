"""Listening TCP sockets, for all servers and for the checks of `vedette doctor`."""

import os
import socket


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket.

    Args:
        host: Name or address, IPv4 or IPv6.
        port: Port; 0: any free port.

    Raises:
        OSError: there is no such host, it is not an address of this machine, or the port is in
            use; `strerror` says which.
    """
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        # The library's own message repeats the address.
        raise OSError(error.errno, os.strerror(error.errno or 0)) from error


def shown(host: str, port: int) -> str:
    """Format an address for people: IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
