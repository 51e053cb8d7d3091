"""What ratings are made of: a warm start, and the losses of blocks of records around it, here or in workers."""
