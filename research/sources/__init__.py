"""Where retraining uncertainty comes from, on three real tasks; and how good the designs are."""
