"""The atlas: the retrainings of many small tasks, and what is learned from them."""
