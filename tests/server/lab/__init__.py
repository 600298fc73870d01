"""A really booted Debian server for tests and for people at work: its own init, network and address, in seconds.

    with Lab() as lab:
        server = lab.server("bookworm")
        server.run(("systemctl", "is-system-running"))

By hand: `python -m tests.server.lab up NAME`. It needs root, and the packages that tests/prerequisites.sh names.
"""
