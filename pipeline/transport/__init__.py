"""Communication between the processes: topics, wire format, ports, encryption."""
