"""A network's graph: its channels, their symmetries, narrower copies, penultimate features."""
