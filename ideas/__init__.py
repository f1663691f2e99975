"""What moves the centre: measured on a study's plan. `python -m ideas` says how."""
