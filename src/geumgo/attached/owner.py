"""A service that looks after master passwords, and how it does it."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from geumgo.attached.records import Database
from geumgo.attached.store import Store
from geumgo.context import Place

Kept = TypeVar("Kept", bound=Database)


@dataclass(frozen=True, slots=True)
class Owner(Generic[Kept]):
    """`service` is its name, under which its secrets and jobs stand; `role_name` its service-linked role.

    A managed password has `password_length` characters, none of `excluded`, and is changed every `rotation_days`.
    """

    service: str
    role_name: str
    rotation_days: int
    password_length: int
    excluded: str
    store: Store[Kept]

    @property
    def host(self) -> str:
        return f"{self.service}.amazonaws.com"

    @property
    def settle(self) -> str:
        """The kind of its jobs that do what was asked of a database."""
        return f"{self.service}.settle"

    @property
    def rotate_step(self) -> str:
        """The kind of its jobs that do a step of a rotation. Secrets Manager promises them."""
        return f"{self.service}.rotate_step"

    def role_arn(self, place: Place) -> str:
        """The role of the service itself in an account. Source: "Using service-linked roles", of each service's guide."""
        return f"arn:{place.partition}:iam::{place.account}:role/aws-service-role/{self.host}/{self.role_name}"
