"""The migrations of the table of promises."""
