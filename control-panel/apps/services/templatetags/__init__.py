"""Parts of pages that show what is wrong."""
