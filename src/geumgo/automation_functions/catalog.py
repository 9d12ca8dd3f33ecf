"""Which ready-made functions there are, and the zip that Lambda takes."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

# name: (module, its handler)
FUNCTIONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "UnusedSecretDeny": ("secrets", "deny_handler"),
        "UnusedSecretScheduleDeletion": ("secrets", "deletion_handler"),
        "UnusedSecretTag": ("secrets", "tag_handler"),
    }
)
HANDLER = "lambda_function.lambda_handler"
_PACKAGE = "automation_functions"
_MADE = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip can say


def handler_text(name: str) -> str:
    """The module that HANDLER names. Raises KeyError for a name that is not in FUNCTIONS."""
    module, handler = FUNCTIONS[name]
    return f"from {_PACKAGE}.{module} import {handler} as lambda_handler\n\n__all__ = ['lambda_handler']\n"


def write_zip(name: str, to: BinaryIO) -> None:
    """The deployable zip of function `name`, the same bytes each time. boto3 is not in it."""
    texts = {"lambda_function.py": handler_text(name)}
    for module in ("__init__", FUNCTIONS[name][0]):
        source = Path(__file__).parent / f"{module}.py"
        texts[f"{_PACKAGE}/{module}.py"] = source.read_text("utf-8")
    with zipfile.ZipFile(to, "w", zipfile.ZIP_STORED) as archive:
        for path, text in texts.items():
            entry = zipfile.ZipInfo(path, _MADE)
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, text)
