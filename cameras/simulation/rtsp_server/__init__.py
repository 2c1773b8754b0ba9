"""A small RTSP server: synthetic cameras for the demo, and real connections for tests."""

from cameras.simulation.rtsp_server.authentication import RtspAuthentication
from cameras.simulation.rtsp_server.broadcast import Mount
from cameras.simulation.rtsp_server.server import RtspServer

__all__ = ["Mount", "RtspAuthentication", "RtspServer"]
