"""What a user would build or take instead, each a program of its own that knows nothing of the product."""
