"""On what kind of file system a path is. SQLite's write-ahead log needs one of this machine."""

import re
from pathlib import Path

MOUNTS = Path("/proc/mounts")

NETWORK = frozenset(
    {
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "fuse.ceph", "glusterfs",
        "fuse.glusterfs", "fuse.sshfs", "lustre", "beegfs", "gpfs", "davfs", "fuse.davfs2",
    }
)  # fmt: skip
"""Other machines may write there, and shared memory is not shared with them."""
DOUBTFUL = frozenset({"9p", "virtiofs", "fuse", "fuseblk"})
"""Shared folders of virtual machines and the like: not all keep the promises of a disk."""


def file_system_of(path: Path, mounts: str | None = None) -> str | None:
    """Kind of the file system that a path is on, or would be; None where nobody can say.

    Args:
        path: Need not exist.
        mounts: In the form of /proc/mounts; None: the machine's own.
    """
    if mounts is None:
        try:
            mounts = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return None
    place = path.resolve()
    found: tuple[int, str] | None = None
    for line in mounts.splitlines():
        columns = line.split(" ")
        if len(columns) < 3:
            continue
        mount = Path(_unescape(columns[1]))
        depth = len(mount.parts)
        # What was mounted last over the same place is what one sees there.
        if place.is_relative_to(mount) and (found is None or depth >= found[0]):
            found = depth, columns[2]
    return None if found is None else found[1]


def _unescape(text: str) -> str:
    """Blanks and the like stand in octal."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
