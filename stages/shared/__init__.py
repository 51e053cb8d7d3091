"""What several stages read from params and files in the same way."""
