"""From scores to events: thresholds, zones, schedules, drawings. Pure functions."""
