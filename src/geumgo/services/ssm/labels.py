"""Labels of versions: LabelParameterVersion, UnlabelParameterVersion."""

from dataclasses import replace

from geumgo.context import Context, Params
from geumgo.room import operation
from geumgo.services.ssm import changes, domain, lookup, store
from geumgo.services.ssm.errors import no_such_version
from geumgo.services.ssm.records import Parameter


@operation
def label_parameter_version(ctx: Context, params: Params) -> Params:
    """The labels sit on this version, by default the newest, wherever they sat before. Those that cannot be labels are told.

    Source: LabelParameterVersion, API reference.
    """
    parameter = lookup.get(ctx, params["Name"])
    number = params.get("ParameterVersion", parameter.version)
    _refuse_missing(ctx, parameter, number)
    invalid = domain.invalid_labels(params["Labels"])
    wanted = [label for label in params["Labels"] if label not in invalid]
    after = replace(parameter, labels=domain.moved(parameter.labels, wanted, number))
    if wanted:
        store.save(ctx.tx, ctx.sealing, after)
        version = changes.newest(ctx.tx, ctx.sealing, after)
        changes.tell(ctx.publish, after, "LabelParameterVersion", version.kind, version.description)
    return {"InvalidLabels": invalid, "ParameterVersion": number}


@operation
def unlabel_parameter_version(ctx: Context, params: Params) -> Params:
    """Source: UnlabelParameterVersion, API reference (InvalidLabels: those that the version does not wear)."""
    parameter = lookup.get(ctx, params["Name"])
    number = params["ParameterVersion"]
    _refuse_missing(ctx, parameter, number)
    removed = [label for label in dict.fromkeys(params["Labels"]) if parameter.labels.get(label) == number]
    if removed:
        kept = {label: worn_by for label, worn_by in parameter.labels.items() if label not in removed}
        store.save(ctx.tx, ctx.sealing, replace(parameter, labels=kept))
    return {
        "RemovedLabels": removed,
        "InvalidLabels": [label for label in dict.fromkeys(params["Labels"]) if label not in removed],
    }


def _refuse_missing(ctx: Context, parameter: Parameter, number: int) -> None:
    """Raises ParameterVersionNotFound."""
    if store.find_version(ctx.tx, ctx.sealing, parameter, number) is None:
        raise no_such_version(parameter.name, str(number))
