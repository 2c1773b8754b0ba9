"""Measurements of this project: each is run by `python -m benchmarks.NAME` in the repository."""
