"""Two PyTorch installations against each other: what is measured by processes of both at once."""
