"""The server: systemd, nginx, PostgreSQL and nftables behind the ports."""
