"""The migrations of RDS."""
