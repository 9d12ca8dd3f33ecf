"""A database of a test, attached as an instance or as a cluster."""

import json
from typing import Any

from tests.house import House
from tests.rotation_functions.targets import Target


class Attached:
    """One database, attached as an instance or as a cluster: the operations under one name."""

    def __init__(self, house: House, target: Target, kind: str, name: str = "mine") -> None:
        self.house, self.target, self.kind, self.name = house, target, kind, name
        self.rds, self.sm = house.client("rds"), house.client("secretsmanager")
        self.user = target.new_user("first")
        self.engine = target.module.ENGINE
        if kind == "cluster":
            self.engine = {"postgres": "aurora-postgresql", "mariadb": "aurora-mysql", "mongo": "docdb"}[self.engine]

    def call(self, verb: str, **params: Any) -> dict[str, Any]:
        noun = "db_instance" if self.kind == "db" else "db_cluster"
        member = "DBInstanceIdentifier" if self.kind == "db" else "DBClusterIdentifier"
        answer = getattr(self.rds, f"{verb}_{noun}")(**{member: self.name, **params})
        return dict(answer["DBInstance" if self.kind == "db" else "DBCluster"])

    def create(self, *, tags: dict[str, str] | None = None, **params: Any) -> dict[str, Any]:
        where = {"geumgo:host": "127.0.0.1", "geumgo:port": str(self.target.port), "geumgo:tls": "off", **(tags or {})}
        given = [{"Key": key, "Value": value} for key, value in where.items() if value]
        extra = {"DBInstanceClass": "db.t3.micro"} if self.kind == "db" else {}
        return self.call("create", Engine=self.engine, MasterUsername=self.user, Tags=given, **extra, **params)

    def create_managed(self, **params: Any) -> dict[str, Any]:
        text = json.dumps({"username": self.user, "password": "first"})
        secret = self.sm.create_secret(Name=f"before-{self.name}", SecretString=text)["ARN"]
        made = self.create(tags={"geumgo:secret": secret}, ManageMasterUserPassword=True, **params)
        self.house.run_jobs()
        return made

    def describe(self) -> dict[str, Any]:
        if self.kind == "db":
            found = self.rds.describe_db_instances(DBInstanceIdentifier=self.name)["DBInstances"]
        else:
            found = self.rds.describe_db_clusters(DBClusterIdentifier=self.name)["DBClusters"]
        return dict(found[0])

    def status(self) -> str:
        found = self.describe()
        return str(found["DBInstanceStatus" if self.kind == "db" else "Status"])

    def value(self, stage: str = "AWSCURRENT") -> dict[str, str]:
        arn = self.describe()["MasterUserSecret"]["SecretArn"]
        found: dict[str, str] = json.loads(self.sm.get_secret_value(SecretId=arn, VersionStage=stage)["SecretString"])
        return found

    def logs_in(self, password: str) -> bool:
        return self.target.logs_in(self.target.value(self.user, password))
