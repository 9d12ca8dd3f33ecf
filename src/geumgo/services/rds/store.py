"""Where RDS keeps its databases."""

from typing import Final

from geumgo.attached.store import Store
from geumgo.services.rds.records import Database

STORE: Final = Store("rds_database", Database, purpose="rds")

find, find_by_secret, every = STORE.find, STORE.find_by_secret, STORE.every
add, save, remove = STORE.add, STORE.save, STORE.remove
seal, unseal = STORE.seal, STORE.unseal
