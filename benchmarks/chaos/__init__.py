"""Faults injected into a running service, and the promises it keeps: `-m benchmarks.chaos`."""
