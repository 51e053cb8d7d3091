"""Studies of scores: their accuracy, their cost, and what they predict."""
