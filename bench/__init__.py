"""Measures the platform against plain scripts that do only the unavoidable: `make bench`, or `python -m bench`."""
