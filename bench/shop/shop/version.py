"""The release marker: the one line that a code-only commit changes."""

MARKER = "none"
