"""What a scene is and how it is kept: support, calibration, refit, illumination, files."""
