"""Is this machine ready? Each check looks at one thing, and says what to do about it."""
