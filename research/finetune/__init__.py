"""Fine-tuning: what explorers are worth where retraining starts from pre-trained weights."""
