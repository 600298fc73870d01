"""What the platform costs on a booted server. `python -m bench server [PART …]`."""
