"""Amazon Redshift for clusters that already run elsewhere: attached, and their admin passwords managed.

As in RDS nothing is made or stopped: CreateCluster records where a cluster is (the tags geumgo:host and geumgo:port) and logs in to it;
with ManageMasterPassword its admin password becomes a secret of this service's own, and is really changed.
"""

from geumgo.room import Room
from geumgo.services.redshift import clusters, tags
from geumgo.services.redshift.access import ACCESS
from geumgo.services.redshift.renewal import RENEWALS

ROOM = Room(
    "redshift",
    chapters=(clusters, tags),
    access=ACCESS,
    tables="geumgo.services.redshift.tables",
    renews=RENEWALS,
    resource_type="AWS::Redshift::Cluster",
)
