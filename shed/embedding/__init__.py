"""Vectors of records' texts, by which those that are alike are found: in memory, or in a file, block by block."""
