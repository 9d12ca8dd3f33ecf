"""The migrations of Config."""
