"""What is measured beside the library: speed (`bench`), facts of papers, and ideas.

Each is a command that measures, stores JSON as it goes, and writes pages: `python -m
research.bench`, `python -m research.papers`, `python -m research.ideas`.
"""
