"""The migrations of Parameter Store."""
