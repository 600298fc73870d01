"""A database for each deployment that wants one, with its credentials encrypted."""
