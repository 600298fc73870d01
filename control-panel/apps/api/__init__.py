"""The REST API: one module per noun, over the same actions as the pages."""
