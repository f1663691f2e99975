"""What several explorers share."""
