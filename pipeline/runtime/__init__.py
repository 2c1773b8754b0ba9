"""The parent process: starts, watches and restarts the workers, and routes commands to them."""
