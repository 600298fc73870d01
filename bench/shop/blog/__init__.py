"""Posts with pictures."""
