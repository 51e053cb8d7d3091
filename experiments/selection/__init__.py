"""Studies of selections: what they are made from, and what they do for other models, tasks and pools."""
