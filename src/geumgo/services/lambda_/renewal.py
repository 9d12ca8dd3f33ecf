"""What the room keeps under the root keys, and how it comes under the newest of them."""

from collections.abc import Mapping
from typing import Any, Final

from geumgo.renewal import MAC, Mark, Renewal, vouch_anew, vouched
from geumgo.sealing import Sealing, Unsealable
from geumgo.services.lambda_ import environment, store, store_events, store_layers
from geumgo.services.lambda_.records import Function
from geumgo.storage import Tx

_PURPOSE: Final = "lambda"


def _function(tx: Tx, sealing: Sealing, function_id: str) -> Function:
    function = store.find_by_id(tx, sealing, function_id)
    if function is None:
        raise Unsealable("it belongs to no function")
    return function


def _version(tx: Tx, sealing: Sealing, row: Mapping[str, Any]) -> Mapping[str, bytes | None]:
    function = _function(tx, sealing, row["function_id"])
    version = store.as_version(sealing, (*(row[name] for name in store.VERSION), row["mac"]))
    sealed = environment.sealed_anew(sealing, function, version)
    cells = {name: row[name] for name in store.VERSION}
    return {
        "environment": sealed,
        "mac": vouch_anew(sealing, "lambda_version", cells, row["mac"], environment=sealed),
    }


def _code(tx: Tx, sealing: Sealing, row: Mapping[str, Any]) -> Mapping[str, bytes]:
    function = _function(tx, sealing, row["function_id"])
    return {"content": store.code_sealed_anew(sealing, function, row["sha256"], row["content"])}


def _event(_tx: Tx, sealing: Sealing, row: Mapping[str, Any]) -> Mapping[str, bytes]:
    return store_events.sealed_anew(sealing, row)


def _layer(_tx: Tx, sealing: Sealing, row: Mapping[str, Any]) -> Mapping[str, bytes]:
    return store_layers.sealed_anew(sealing, row)


RENEWALS: Final[tuple[Renewal, ...]] = (
    vouched("lambda_function", ("id",), store.FUNCTION),
    Renewal(
        "lambda_version",
        ("function_id", "number"),
        (MAC, Mark("environment", _PURPOSE)),
        store.VERSION,
        _version,
    ),
    Renewal("lambda_code", ("function_id", "sha256"), (Mark("content", _PURPOSE),), (), _code, at_once=1),
    Renewal("lambda_event", ("id",), (MAC, Mark("content", _PURPOSE)), store_events.COLUMNS, _event, at_once=20),
    vouched("lambda_alias", ("function_id", "name"), store.ALIAS),
    Renewal(
        "lambda_layer_version",
        ("account", "region", "name", "number"),
        (MAC, Mark("content", _PURPOSE)),
        store_layers.VOUCHED,
        _layer,
        at_once=1,
    ),
)
