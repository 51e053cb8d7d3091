"""Records: where they come from, what is kept of them, and files of them."""
