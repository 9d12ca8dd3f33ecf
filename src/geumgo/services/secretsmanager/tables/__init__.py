"""The migrations of Secrets Manager."""
