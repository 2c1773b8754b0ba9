"""Files of the data folder that are damaged and can be made again: moved aside, said, and kept."""

import logging
import os
import time
from pathlib import Path

LOG = logging.getLogger(__name__)

_BESIDE_SQLITE = ("-wal", "-shm", "-journal")


def put_aside(path: Path, reason: str) -> Path:
    """Rename a damaged file, with what SQLite keeps beside it, and say so in the log.

    Args:
        path: What cannot be used; a file or a folder.
        reason: Why, for people, without credentials.

    Returns:
        Where it is now: `NAME.damaged-TIME` in the same folder.

    Raises:
        OSError: it cannot be renamed.
    """
    name = f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
    place, count = path.with_name(name), 0
    while os.path.lexists(place):
        count += 1
        place = path.with_name(f"{name}-{count}")
    os.replace(path, place)
    for suffix in _BESIDE_SQLITE:
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            os.replace(beside, place.with_name(place.name + suffix))
    LOG.error("%s is damaged (%s); moved to %s, and a new one is made", path, reason, place.name)
    return place
