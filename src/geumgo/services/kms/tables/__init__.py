"""The migrations of KMS."""
