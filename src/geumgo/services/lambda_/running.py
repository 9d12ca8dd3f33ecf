"""What the host is handed for an invocation, whoever asked for it."""

from typing import Final

from geumgo.context import Params
from geumgo.functions import Task
from geumgo.sealing import Sealing, Unsealable
from geumgo.services.lambda_ import store, store_layers
from geumgo.services.lambda_.environment import Ask, environment
from geumgo.services.lambda_.layer_names import read_version_arn
from geumgo.services.lambda_.records import Function, Version
from geumgo.storage import Tx

SESSION_S: Final = 900  # the shortest that STS gives
SPARE_S: Final = 60  # how much longer than the function its credentials live


def session_of(function: Function, version: Version) -> Params:
    """How Lambda assumes the execution role for one invocation."""
    seconds = max(SESSION_S, version.timeout_s + SPARE_S)
    name = (
        function.name if len(function.name) > 1 else f"{function.name}_"
    )  # a session has a name of at least two characters
    return {"RoleArn": version.role, "RoleSessionName": name, "DurationSeconds": seconds}


def task_of(
    tx: Tx,
    sealing: Sealing,
    function: Function,
    version: Version,
    *,
    qualifier: str,
    request_id: str,
    event: bytes,
    client_context: str,
    credentials: Params,
    ask: Ask,
) -> Task:
    """Raises the refusals of KMS, and Unsealable if code or environment are not what was kept. `credentials` is as STS answers them."""
    return Task(
        request_id=request_id,
        function_arn=f"{function.arn}:{qualifier}" if qualifier else function.arn,
        name=function.name,
        version=version.name,
        handler=version.handler,
        region=function.region,
        memory_mb=version.memory_mb,
        timeout_s=version.timeout_s,
        storage_mb=version.storage_mb,
        code=store.code(tx, sealing, function, version.code_sha256),
        environment=environment(sealing, function, version, ask),
        layers=tuple(_layer(tx, sealing, arn) for arn in version.layers),
        credentials={
            "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
            "AWS_SESSION_TOKEN": credentials["SessionToken"],
        },
        event=event,
        client_context=client_context,
        runtime=version.runtime,
        most_at_once=function.concurrency,
    )


def _layer(tx: Tx, sealing: Sealing, arn: str) -> bytes:
    """Raises Unsealable if it is not there."""
    named = read_version_arn(arn)
    layer = store_layers.find(tx, sealing, *named) if named is not None else None
    if layer is None:
        raise Unsealable(f"{arn} is missing")
    return store_layers.content(tx, sealing, layer)
