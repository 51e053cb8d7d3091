"""Params of a new project: what its data hold, what stages would cost, and the sizes that follow."""
