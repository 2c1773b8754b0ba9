"""The REST API, in its own process."""
