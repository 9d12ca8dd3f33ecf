"""The package in a request."""

from geumgo.context import Params
from geumgo.functions import package
from geumgo.services.lambda_.errors import InvalidParameterValue


def read_package(code: Params) -> bytes:
    """The package of a request, which was read. Raises InvalidParameterValue. Source: recorded on AWS (the sentences about the zip)."""
    if any(code.get(member) for member in ("S3Bucket", "S3Key", "ImageUri", "SourceKMSKeyArn")):
        raise InvalidParameterValue(
            "Packages are not fetched from S3 or a registry here. Send the zip file itself (ZipFile)."
        )
    content: bytes | None = code.get("ZipFile")
    if not content:
        raise InvalidParameterValue("Please provide a source for function code.")
    try:
        package.read(content)
    except package.TooLarge as refusal:
        raise InvalidParameterValue(f"{refusal}") from None
    except package.BadPackage as refusal:
        raise InvalidParameterValue(
            f"Could not unzip uploaded file. Please check your file, then try to upload again. ({refusal})"
        ) from None
    return content
