"""Facts of the papers, reproduced in kind: `python -m research.papers` says how."""
