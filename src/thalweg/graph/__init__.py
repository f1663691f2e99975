"""A network's graph: its channels, their symmetries, narrower copies, and its penultimate
features.
"""
