"""Paths of the exemplars of a camera in the data folder; imports no torch.

scenes/CAMERA/exemplar/MILLISECONDS.safetensors   exemplar of one peak sample
scenes/CAMERA/memory/EVENT.safetensors            exemplar of an event accepted as normal
"""

from pathlib import Path

SUFFIX = ".safetensors"


def exemplar_folder(scenes: Path, camera: str) -> Path:
    """Folder of the peak samples of a camera, below the folder of all scenes."""
    return scenes / camera / "exemplar"


def accepted_folder(scenes: Path, camera: str) -> Path:
    """Folder of the accepted events of a camera, below the folder of all scenes."""
    return scenes / camera / "memory"


def accepted_file(scenes: Path, camera: str, event: str) -> Path:
    """File of an accepted event; it exists as long as the event counts as normal."""
    return accepted_folder(scenes, camera) / (event + SUFFIX)
