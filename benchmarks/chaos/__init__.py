"""Faults injected into a running service, and checks of its guarantees: `-m benchmarks.chaos`."""
