"""The REST API, in a process of its own."""
