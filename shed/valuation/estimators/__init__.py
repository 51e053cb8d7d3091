"""Estimators of Shapley scores, one a file, behind the contract of `shed.valuation.estimate`."""
