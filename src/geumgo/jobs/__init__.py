"""Promises kept after commit: one durable table, one worker.

A job is a row written in the same transaction as the change that asks for it. It names things, it never holds a secret.
"""

from geumgo.jobs.lease import LeaseLost
from geumgo.jobs.queue import promise, withdraw
from geumgo.jobs.retry import TryLater

TABLES = ("jobs", "geumgo.jobs.tables")

__all__ = ["TABLES", "LeaseLost", "TryLater", "promise", "withdraw"]
