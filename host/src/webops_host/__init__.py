"""The machine under WebOps: small typed ports, the values they carry, and the back ends behind them.

Standard library only, because part of it runs as root.
"""
