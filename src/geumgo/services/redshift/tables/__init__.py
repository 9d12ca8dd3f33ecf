"""The migrations of Redshift."""
