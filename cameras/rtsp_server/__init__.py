"""A small RTSP server: made cameras for the demonstration, and real sockets for the tests."""

from cameras.rtsp_server.broadcast import Mount
from cameras.rtsp_server.guard import Guard
from cameras.rtsp_server.server import RtspServer

__all__ = ["Guard", "Mount", "RtspServer"]
