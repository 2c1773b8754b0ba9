"""Episodes for meta-training, and the validation on scenes that were left out."""
