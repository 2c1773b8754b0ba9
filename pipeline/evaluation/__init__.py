"""Measuring a detector on benchmarks and recordings: scores, figures, reports."""
