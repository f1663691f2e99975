"""How the cost of a retraining equivalent grows with width, depth, images, epochs and classes."""
