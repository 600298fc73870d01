"""The panel's settings, routes and entry point."""
