"""Where the files of stored scenes are; does not load the model."""

from pathlib import Path

HEAD = "scene.json"
SUPPORT = "support.safetensors"


def id_of(folder: Path) -> str | None:
    """Id of the scene in a folder: Unix milliseconds at which it was built; None: there is none."""
    try:
        return str(round((folder / HEAD).stat().st_mtime * 1000))
    except OSError:
        return None


def folder_of(scenes: Path, camera: str, scene: str) -> Path | None:
    """Folder of a stored scene; None: there is no such scene.

    Args:
        scenes: Folder of all scenes.
        camera: Name of the camera.
        scene: Id of the scene.
    """
    current = scenes / camera
    if id_of(current) == scene:
        return current
    earlier = current / "history" / scene
    return earlier if id_of(earlier) is not None else None
