"""What developers run; nothing of the pipeline imports it."""
