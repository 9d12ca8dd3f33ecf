"""Clusters and services as ECS describes them."""

from collections.abc import Sequence
from typing import Final

from geumgo.context import Params, as_datetime
from geumgo.services.ecs.records import Cluster, Endpoint, Service

KEPT: Final = (
    "availabilityZoneRebalancing", "capacityProviderStrategy", "deploymentConfiguration", "deploymentController", "desiredCount",
    "enableECSManagedTags", "enableExecuteCommand", "healthCheckGracePeriodSeconds", "launchType", "networkConfiguration",
    "placementConstraints", "placementStrategy", "platformVersion", "propagateTags", "schedulingStrategy", "serviceConnectConfiguration",
    "taskDefinition",
)  # fmt: skip
"""What a caller says of a service that is not run here: it is kept and shown again."""
_OF_DEPLOYMENTS: Final = (
    "serviceConnectConfiguration",
    "taskDefinition",
    "launchType",
    "platformVersion",
    "networkConfiguration",
)


def cluster(found: Cluster, services: int) -> Params:
    return {
        "clusterArn": found.arn,
        "clusterName": found.name,
        "status": "ACTIVE",
        "registeredContainerInstancesCount": 0,
        "runningTasksCount": 0,
        "pendingTasksCount": 0,
        "activeServicesCount": services,
        **found.kept,
    }


def tags(found: Cluster | Service) -> Params:
    return {"tags": [{"key": key, "value": value} for key, value in sorted(found.tags.items())]}


def service(found: Service, endpoints: Sequence[Endpoint]) -> Params:
    """The one deployment is in progress until every secret is there; why one is not is an event, and its reason."""
    waits = [each for each in endpoints if each.is_leaving or not each.secret_arn]
    why = next((each.message for each in waits if each.message), "")
    deployment = {
        "id": f"ecs-svc/{found.id}",
        "status": "PRIMARY",
        "desiredCount": found.kept.get("desiredCount", 0),
        "pendingCount": 0,
        "runningCount": 0,
        "createdAt": as_datetime(found.updated_at_ms),
        "updatedAt": as_datetime(found.updated_at_ms),
        "rolloutState": "IN_PROGRESS" if waits else "COMPLETED",
        "rolloutStateReason": why or ("ECS deployment in progress." if waits else "ECS deployment completed."),
        **{name: found.kept[name] for name in _OF_DEPLOYMENTS if name in found.kept},
    }
    told: Params = {name: value for name, value in found.kept.items() if name != "serviceConnectConfiguration"}
    events = [
        {
            "id": each.id,
            "createdAt": as_datetime(each.created_at_ms),
            "message": f"(service {found.name}) {each.message}",
        }
        for each in waits
        if each.message
    ]
    return {
        "desiredCount": 0,
        "schedulingStrategy": "REPLICA",
        "enableECSManagedTags": False,
        "enableExecuteCommand": False,
        "propagateTags": "NONE",
        **told,
        "serviceArn": found.arn,
        "serviceName": found.name,
        "clusterArn": found.cluster_arn,
        "status": "DRAINING" if found.is_leaving else "ACTIVE",
        "runningCount": 0,
        "pendingCount": 0,
        "createdAt": as_datetime(found.created_at_ms),
        "deployments": [deployment],
        "events": events,
        "loadBalancers": [],
        "serviceRegistries": [],
    }
