"""A version as Lambda shows it."""

from base64 import b64encode
from datetime import UTC, datetime

from geumgo.context import Context, Params
from geumgo.services.lambda_.environment import shown_environment
from geumgo.services.lambda_.layers import find_by_arn
from geumgo.services.lambda_.records import Function, Version


def shown(ctx: Context, function: Function, version: Version, *, qualified: bool = False) -> Params:
    """A version as Lambda shows it. Source: FunctionConfiguration, API reference; the form of LastModified as recorded on AWS."""
    at = datetime.fromtimestamp(version.modified_at_ms / 1000, UTC)
    return {
        "FunctionName": function.name,
        "FunctionArn": f"{function.arn}:{version.name}" if qualified else function.arn,
        "Runtime": version.runtime,
        "Role": version.role,
        "Handler": version.handler,
        "CodeSize": version.code_size,
        "Description": version.description,
        "Timeout": version.timeout_s,
        "MemorySize": version.memory_mb,
        "LastModified": at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{version.modified_at_ms % 1000:03d}+0000",
        "CodeSha256": b64encode(bytes.fromhex(version.code_sha256)).decode(),
        "Version": version.name,
        "TracingConfig": {"Mode": "PassThrough"},
        "RevisionId": version.revision_id,
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "PackageType": "Zip",
        "Architectures": [version.architecture],
        "EphemeralStorage": {"Size": version.storage_mb},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{function.name}"},
        **shown_environment(ctx, function, version),
        **({"KMSKeyArn": version.kms_key} if version.kms_key else {}),
        **({"Layers": [_layer(ctx, arn) for arn in version.layers]} if version.layers else {}),
    }


def _layer(ctx: Context, arn: str) -> Params:
    layer = find_by_arn(ctx, arn)
    return {"Arn": arn, "CodeSize": layer.details.code_size if layer is not None else 0}
