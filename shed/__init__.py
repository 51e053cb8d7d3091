"""Which part of an instruction pool to tune on: ratings of records, Shapley scores of clusters (SHED, arXiv 2405.00705)."""
