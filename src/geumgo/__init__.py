"""Geumgo (금고, a strongroom): a self-hosted secrets manager that speaks AWS Secrets Manager's own wire protocol."""
