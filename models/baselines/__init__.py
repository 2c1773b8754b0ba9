"""Detectors to compare with, each behind the interface of `models.baselines.baseline`."""
