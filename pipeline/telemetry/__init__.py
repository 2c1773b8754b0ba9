"""Logs, metrics and health of the service, and helpers for files and clocks."""
