"""Forms: how the rows of a file say what a record is."""
