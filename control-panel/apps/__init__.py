"""The five applications of the panel, from top to bottom: api, services, deployments, databases, core."""
