"""Time from attaching a camera to its first score: `python -m benchmarks.attaching`."""
