"""Amazon ECS, as far as the TLS certificates of Service Connect need it.

Nothing is run. CreateService records a service and the names under which it is spoken to; for each that asks for TLS a private authority of
ours issues a certificate, which is kept in a secret of this service's own (`ecs-sc!...`) and renewed there long before it expires. Whoever
terminates TLS for the service reads it.
"""

from geumgo.room import Room
from geumgo.services.ecs import clusters, issuing, services
from geumgo.services.ecs.access import ACCESS
from geumgo.services.ecs.renewal import RENEWALS

ROOM = Room(
    "ecs",
    chapters=(clusters, services, issuing),
    access=ACCESS,
    tables="geumgo.services.ecs.tables",
    renews=RENEWALS,
    resource_type="AWS::ECS::Service",
)
