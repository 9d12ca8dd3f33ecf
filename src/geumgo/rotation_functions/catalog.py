"""Which ready-made functions there are, under the names of AWS's templates, and the zip that Lambda takes."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

# name: (module, strategy in `steps`; none where the module has the handler itself)
FUNCTIONS: Mapping[str, tuple[str, str | None]] = MappingProxyType(
    {
        "SecretsManagerIAMAccessKeyRotation": ("iam_access_key", None),
        "SecretsManagerMongoDBRotationMultiUser": ("mongodb", "alternating_users"),
        "SecretsManagerMongoDBRotationSingleUser": ("mongodb", "single_user"),
        "SecretsManagerRDSMariaDBRotationMultiUser": ("mariadb", "alternating_users"),
        "SecretsManagerRDSMariaDBRotationSingleUser": ("mariadb", "single_user"),
        "SecretsManagerRDSMySQLRotationMultiUser": ("mysql", "alternating_users"),
        "SecretsManagerRDSMySQLRotationSingleUser": ("mysql", "single_user"),
        "SecretsManagerRDSPostgreSQLRotationMultiUser": ("postgresql", "alternating_users"),
        "SecretsManagerRDSPostgreSQLRotationSingleUser": ("postgresql", "single_user"),
        "SecretsManagerRedisRotationMultiUser": ("redis", "alternating_users"),
        "SecretsManagerRedisRotationSingleUser": ("redis", "single_user"),
        "SecretsManagerRedshiftRotationMultiUser": ("redshift", "alternating_users"),
        "SecretsManagerRedshiftRotationSingleUser": ("redshift", "single_user"),
        "SecretsManagerRotationTemplate": ("api_key", None),
    }
)
_LEAN_ON = {"mariadb": ("mysql",)}  # the modules of engines that one imports
HANDLER = "lambda_function.lambda_handler"
_PACKAGE = "rotation_functions"
_MADE = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip can say


def handler_text(name: str) -> str:
    """The module that HANDLER names. Raises KeyError for a name that is not in FUNCTIONS."""
    module, strategy = FUNCTIONS[name]
    if strategy is None:
        return f"from {_PACKAGE}.{module} import lambda_handler\n\n__all__ = ['lambda_handler']\n"
    return (
        f"from {_PACKAGE} import {module}\n"
        f"from {_PACKAGE}.steps import {strategy}\n\n"
        f"lambda_handler = {strategy}({module})\n"
    )


def write_zip(name: str, to: BinaryIO) -> None:
    """The deployable zip of function `name`, the same bytes each time. boto3 and the driver are not in it."""
    chosen, _ = FUNCTIONS[name]
    texts = {"lambda_function.py": handler_text(name)}
    for module in ("__init__", "steps", *_LEAN_ON.get(chosen, ()), chosen):
        source = Path(__file__).parent / f"{module}.py"
        texts[f"{_PACKAGE}/{module}.py"] = source.read_text("utf-8")
    with zipfile.ZipFile(to, "w", zipfile.ZIP_STORED) as archive:
        for path, text in texts.items():
            entry = zipfile.ZipInfo(path, _MADE)
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, text)
