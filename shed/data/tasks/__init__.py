"""What dev and test measure by: documents of lm-eval's tasks as records, and several dev tasks with their weights."""
