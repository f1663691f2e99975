"""Facts of the papers, reproduced in kind: `python -m papers` says how."""
