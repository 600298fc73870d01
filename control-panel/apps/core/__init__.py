"""Who may do what, and what everything else stands on: accounts, teams, hosts, audit, secrets, the queue."""
