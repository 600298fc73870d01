"""Ports over a Unix socket: one typed request, output lines, one answer."""
