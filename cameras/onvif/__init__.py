"""ONVIF: which cameras the network has, and which streams they offer.

`survey` asks the network and `look` asks one device. Whatever answers is not trusted: its XML is
read by `cameras.onvif.markup`, nothing is asked of any host but the one that answered, and a
password never travels in the clear.
"""

from cameras.onvif.device import Device
from cameras.onvif.replies import Profile
from cameras.onvif.soap import Login, OnvifError
from cameras.onvif.survey import look, survey

__all__ = ["Device", "Login", "OnvifError", "Profile", "look", "survey"]
