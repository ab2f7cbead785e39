"""What the scores of single frames say about the difference between networks, and what not."""
