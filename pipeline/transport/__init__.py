"""How processes talk to each other: topics, wire format, ports, encryption."""
