"""What is hosted: deployments, their releases, and how a commit becomes a live site."""
