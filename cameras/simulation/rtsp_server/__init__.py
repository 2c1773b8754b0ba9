"""A small RTSP server: made cameras for the demonstration, and real sockets for the tests."""

from cameras.simulation.rtsp_server.authentication import RtspAuthentication
from cameras.simulation.rtsp_server.broadcast import Mount
from cameras.simulation.rtsp_server.server import RtspServer

__all__ = ["Mount", "RtspAuthentication", "RtspServer"]
