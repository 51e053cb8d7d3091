"""What is measured in a game, kept for another time."""
