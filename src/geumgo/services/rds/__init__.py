"""Amazon RDS, Aurora and DocumentDB for databases that already run elsewhere: attached, and their master passwords managed.

Nothing is made or stopped here. CreateDBInstance and CreateDBCluster record where a database is (the tags geumgo:host and geumgo:port) and
log in to it; with ManageMasterUserPassword its master password becomes a secret of this service's own, and is really changed.

Amazon DocumentDB has no service of its own: its clients sign for `rds`, and ask the same operations of the same API with Engine=docdb.
"""

from geumgo.room import Room
from geumgo.services.rds import clusters, instances, tags
from geumgo.services.rds.access import ACCESS
from geumgo.services.rds.renewal import RENEWALS

ROOM = Room(
    "rds",
    chapters=(instances, clusters, tags),
    access=ACCESS,
    tables="geumgo.services.rds.tables",
    renews=RENEWALS,
    resource_type="AWS::RDS::DBInstance",
)
