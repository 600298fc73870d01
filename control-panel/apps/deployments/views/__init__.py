"""Pages of deployments: they parse, permit, call an action and show."""
