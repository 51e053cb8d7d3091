"""The `shed` command: what the pipeline does and knows, one short command away. DVC does the work and stays visible."""
