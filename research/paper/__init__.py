"""The paper, built from committed results alone: `python -m research.paper`, or `make paper`."""
