"""Making a project: its folder, the pipeline in it, and the code that its stages are of."""
