"""ONVIF: discover the cameras of the network and their streams.

`discover_devices` searches the network and `query_device` queries one device. Responses are not
trusted: their XML is parsed by `cameras.onvif.markup`, requests go only to the host that responded,
and a password is never sent in clear text.
"""

from cameras.onvif.device import Device
from cameras.onvif.replies import Profile
from cameras.onvif.scan import discover_devices, query_device
from cameras.onvif.soap import OnvifError, OnvifLogin

__all__ = ["Device", "OnvifError", "OnvifLogin", "Profile", "discover_devices", "query_device"]
