"""Watching: what runs, how much it takes, whether it answers."""
