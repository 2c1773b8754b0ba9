"""Kind of the file system of a path. SQLite's write-ahead log needs a local one."""

import re
from pathlib import Path

MOUNTS = Path("/proc/mounts")

NETWORK = frozenset(
    {
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "fuse.ceph", "glusterfs",
        "fuse.glusterfs", "fuse.sshfs", "lustre", "beegfs", "gpfs", "davfs", "fuse.davfs2",
    }
)  # fmt: skip
"""Other machines may write to them, and memory-mapped files are not shared between machines."""
DOUBTFUL = frozenset({"9p", "virtiofs", "fuse", "fuseblk"})
"""Shared folders of virtual machines and similar: not all of them are as durable as a disk."""


def file_system_of(path: Path, mounts: str | None = None) -> str | None:
    """Kind of the file system that a path is on, or would be on; None: unknown.

    Args:
        path: Need not exist.
        mounts: In the format of /proc/mounts; None: the mounts of this machine.
    """
    if mounts is None:
        try:
            mounts = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return None
    resolved = path.resolve()
    found: tuple[int, str] | None = None
    for line in mounts.splitlines():
        columns = line.split(" ")
        if len(columns) < 3:
            continue
        mount = Path(_unescape(columns[1]))
        depth = len(mount.parts)
        # Of several mounts at the same path the last one is visible.
        if resolved.is_relative_to(mount) and (found is None or depth >= found[0]):
            found = depth, columns[2]
    return None if found is None else found[1]


def _unescape(text: str) -> str:
    """Decode the octal escapes of spaces and other special characters."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
