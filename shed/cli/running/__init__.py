"""Running the pipeline, and telling beforehand what would run and what it would cost."""
