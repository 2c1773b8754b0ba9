"""Many machines: which node scores which camera, and who may write its scores."""
