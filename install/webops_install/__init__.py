"""Makes a bare server into the platform, and keeps it: `setup.sh` and `webops-admin`. Standard library only."""
