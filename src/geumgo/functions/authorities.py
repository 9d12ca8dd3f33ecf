"""The certificate authorities of the machine, where functions that were written for Lambda look for them."""

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PLACES: Final = (
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/var/runtime/ca-cert.pem",
)
"""Where Lambda has them. Source: AWS's rotation functions for databases name the first one; it and the second are Amazon Linux's; the
third is for NODE_EXTRA_CA_CERTS ("Building Lambda functions with Node.js", developer guide).
"""
BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Alpine
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, Red Hat, Amazon Linux
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",
)


def bundle(places: Sequence[str] = BUNDLES) -> Path | None:
    """The file with all of them; None where the machine has none."""
    named = ssl.get_default_verify_paths().cafile
    for place in [*places, *([named] if named else [])]:
        if Path(place).is_file():
            return Path(place).resolve()
    return None
