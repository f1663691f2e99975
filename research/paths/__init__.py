"""Which part of led paths falls short of retrainings."""
