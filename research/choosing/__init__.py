"""How a budget is best spent beside one network, task by task, and the rule that chooses."""
