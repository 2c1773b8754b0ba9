"""Move damaged files of the data folder aside and log it; new ones are created in their place."""

import logging
import os
import time
from pathlib import Path

LOG = logging.getLogger(__name__)

_BESIDE_SQLITE = ("-wal", "-shm", "-journal")


def put_aside(path: Path, reason: str) -> Path:
    """Rename a damaged file, with the files that SQLite keeps beside it, and log an error.

    Args:
        path: The damaged file or folder.
        reason: Why it cannot be used, for people, without credentials.

    Returns:
        The new path: `NAME.damaged-TIME` in the same folder.

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
    LOG.error("%s is damaged (%s); moved to %s, a new one is created", path, reason, place.name)
    return place
