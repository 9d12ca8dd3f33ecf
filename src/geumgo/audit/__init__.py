"""The trail: one record for every call, refused ones too, durable before the answer leaves.

Each writing process keeps a chain of its own: records in segment files, each naming the hash of the one before, signed at least every
second. What is in the trail can be checked offline with the public key alone (`verify`).
"""

from geumgo.audit.reader import records
from geumgo.audit.trail import Head, Trail, TrailBroken, TrailFull, TrailKeys
from geumgo.audit.verify import Report, verify

TABLES = ("audit", "geumgo.audit.tables")

__all__ = ["TABLES", "Head", "Report", "Trail", "TrailBroken", "TrailFull", "TrailKeys", "records", "verify"]
