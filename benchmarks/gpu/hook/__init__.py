"""What Python runs as it starts, in the stages of a proof alone; the folder is put on PYTHONPATH."""
