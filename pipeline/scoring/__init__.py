"""The scoring worker: frames of all cameras in, scores out; it owns the state of every camera."""
