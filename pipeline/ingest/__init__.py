"""One process a camera: decodes its source, numbers and sends frames, records event clips."""
