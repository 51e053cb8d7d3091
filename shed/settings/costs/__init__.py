"""What a run costs, as its settings say it: the work of each stage, and about how long it takes."""
