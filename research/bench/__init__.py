"""Speed of thalweg, side by side with plain PyTorch in one run.

`python -m research.bench` lists the benchmarks.
"""
