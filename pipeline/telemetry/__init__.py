"""Logs, metrics and health: what operators see of the service."""
