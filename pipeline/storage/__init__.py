"""Storage of events, scores and pictures, on disk or in a database, and its retention."""
