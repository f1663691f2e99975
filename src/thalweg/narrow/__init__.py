"""Narrow copies of a network: what they cost, what they tell of it, and their training."""
