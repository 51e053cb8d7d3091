"""LESS as published (Xia et al. 2024, arXiv 2402.04333), on the model, tokens and tuning of this project: a contender."""
