"""Databases that run elsewhere and whose master passwords a service looks after: what RDS and Redshift have in common.

A room that attaches databases describes itself as an `Owner`; its jobs are those of a `Steward`. Here are the tags that say where a
database is, the row that is kept of one, the secret of its master password, and the steps of a managed rotation.
"""
