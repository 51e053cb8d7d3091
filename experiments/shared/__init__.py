"""What several studies use: games, tuned and evaluated runs, a second model."""
