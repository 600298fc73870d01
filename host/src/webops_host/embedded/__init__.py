"""The embedded host: child processes, loopback ports and SQLite, without root. It isolates nothing."""
