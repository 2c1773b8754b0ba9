"""Where cameras of common makes keep their smaller stream, beside the one that is known."""

import re
from urllib.parse import urlsplit, urlunsplit

_FROM_MAIN_TO_SUB = (
    (r"(/Streaming/Channels/\d*0)1\b", r"\g<1>2"),  # Hikvision
    (r"(\bsubtype=)0\b", r"\g<1>1"),  # Dahua, Amcrest
    (r"(Preview_\d+_)main\b", r"\g<1>sub"),  # Reolink
    (r"(/stream)1$", r"\g<1>2"),  # TP-Link
    (r"(/live/ch\d+_)0\b", r"\g<1>1"),
    (r"(/ch\d+_)0\.", r"\g<1>1."),
    (r"(/av\d+_)0\b", r"\g<1>1"),
    (r"(/(?:media/)?video)1$", r"\g<1>2"),
    (r"(/profile)1\b", r"\g<1>2"),
    (r"(/onvif)1$", r"\g<1>2"),
    (r"(/1)1$", r"\g<1>2"),
    (r"(video)Main\b", r"\g<1>Sub"),  # Foscam
    (r"\bmain\b", "sub"),
    (r"\bMainStream\b", "SubStream"),
)


def sub_stream_guesses(address: str) -> list[str]:
    """Addresses at the same host at which the smaller stream may be; only tried when told to.

    Args:
        address: RTSP or HTTP address of the main stream; its user, password and host stay.
    """
    parts = urlsplit(address)
    rest = urlunsplit(("", "", parts.path, parts.query, ""))
    guesses: list[str] = []
    for pattern, replacement in _FROM_MAIN_TO_SUB:
        guess, changes = re.subn(pattern, replacement, rest, count=1)
        if changes and guess not in guesses:
            guesses.append(guess)
    return [f"{parts.scheme}://{parts.netloc}{guess}" for guess in guesses]
