"""A network's graph: its channels, their symmetries, narrower copies, penultimate features."""

from thalweg.graph.alignment import align

__all__ = ["align"]
