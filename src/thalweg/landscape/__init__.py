"""The landscape around networks: loss and disagreement along lines, paths and planes."""
