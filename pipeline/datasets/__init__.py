"""Public benchmarks as clips with labels."""
