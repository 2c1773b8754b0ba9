"""The alert sink: scores in; events stored, notifications queued and live updates published."""
