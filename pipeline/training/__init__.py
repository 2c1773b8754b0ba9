"""Episodes for meta-training, and validation on held-out scenes."""
