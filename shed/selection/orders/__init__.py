"""The orders in which candidates are taken: floors of groups, rows of clusters, dev records in turn, near-duplicates last."""
