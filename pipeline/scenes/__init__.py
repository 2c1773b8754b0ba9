"""The scene of a camera: support, calibration window, refit, view, illumination, and its files."""
