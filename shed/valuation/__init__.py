"""Valuation: games over coalitions of players, estimators of their Shapley scores, and the ledger between them."""
