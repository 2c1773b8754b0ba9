"""Where the memory of scenes lies in the data folder, also for those who only look for it.

scenes/CAMERA/exemplar/MILLISECONDS.safetensors   what stood out at a moment
scenes/CAMERA/memory/EVENT.safetensors            what is remembered of an event
"""

from pathlib import Path

SUFFIX = ".safetensors"


def exemplar_folder(scenes: Path, camera: str) -> Path:
    """Where the moments of a camera lie in the folder of all scenes."""
    return scenes / camera / "exemplar"


def accepted_folder(scenes: Path, camera: str) -> Path:
    """Where what is remembered for a camera lies in the folder of all scenes."""
    return scenes / camera / "memory"


def accepted_file(scenes: Path, camera: str, event: str) -> Path:
    """The file of a remembered event; it is there as long as the event is remembered."""
    return accepted_folder(scenes, camera) / (event + SUFFIX)
