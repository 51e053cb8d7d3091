"""SHED: which part of an instruction pool to tune on, by Shapley scores over clusters (arXiv 2405.00705)."""
