"""Where Redshift keeps its clusters."""

from typing import Final

from geumgo.attached.store import Store
from geumgo.services.redshift.records import Cluster

STORE: Final = Store("redshift_cluster", Cluster, purpose="redshift")

find, every = STORE.find, STORE.every
add, save = STORE.add, STORE.save
seal, unseal = STORE.seal, STORE.unseal
