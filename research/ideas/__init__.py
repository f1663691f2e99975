"""What moves the centre: measured on a study's plan. `python -m research.ideas` says how."""
