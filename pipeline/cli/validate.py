"""`vedette validate`: check a configuration."""

from pathlib import Path

from pipeline.config import load_config
from pipeline.config.frame_rates import expected_fps, slow_cameras


def validate(path: Path) -> None:
    """Print a summary of a configuration file, and warnings.

    Raises:
        ConfigError: everything that is wrong with it, one line each.
    """
    config = load_config(path)
    enabled = [name for name, camera in config.cameras.items() if camera.enabled]
    disabled = len(config.cameras) - len(enabled)
    cameras = f"{len(enabled)} camera{'' if len(enabled) == 1 else 's'}"
    names = f" ({', '.join(enabled)})" if enabled else ""
    print(f"OK: {cameras}{names}" + (f", {disabled} disabled" if disabled else ""))
    for remark in slow_cameras(config.cameras, expected_fps(config.scoring.weights)):
        print(f"! {remark}")
