"""What is kept on disk or in a database: events, scores, pictures; and for how long."""
