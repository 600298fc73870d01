"""Template tags of the pages of deployments."""
