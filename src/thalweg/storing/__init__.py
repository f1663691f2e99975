"""Trained networks, and fits that rest on them, on disk."""
