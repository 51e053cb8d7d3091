"""What a new project begins with; its other files are written by `make deps` from this project's own.

In: nothing. Out: the names of these files, which package data holds.
"""

from pathlib import Path

TEMPLATE = Path(__file__).parent
PIPELINE = "pipeline.yaml"  # a project's dvc.yaml: under that name DVC would run it here
CODE = "pipeline.json"  # in a project: the digests of its stages' code
PLOTS = "plots"  # of templates for DVC's plots, which a project has in .dvc/plots
WORKFLOW = "workflow.yaml"  # for pull requests on GitHub: this project's own, but for what it installs
QUESTIONS = "data/questions.jsonl"
DEMO = ("data/pool.yaml", "data/dev.yaml", "data/test.yaml", QUESTIONS)
