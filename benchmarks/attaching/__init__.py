"""How soon an attached camera is watched: `python -m benchmarks.attaching`."""
