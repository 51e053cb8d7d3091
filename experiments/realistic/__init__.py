"""Which selection wins on real instruction data: mixed sources, long responses, three dev sets.

`python -m experiments.realistic.study WHERE` makes the runs, and `python -m experiments.realistic.table` prints what came out.
It needs no `dvc repro`: rows come from a folder or a recipe, and settings are those of a new project.
"""
