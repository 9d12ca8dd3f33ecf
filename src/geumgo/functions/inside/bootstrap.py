"""Starts AWS's runtime client for Python with the module path that Lambda has.

Source: "Working with layers for Python functions", Lambda developer guide (/opt/python); the order of sys.path as recorded on AWS.
"""

import os
import sys


def main() -> None:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    own = [each for each in os.environ.get("PYTHONPATH", "").split(":") if each and each != "/var/runtime"]
    layers = [f"/opt/python/lib/{version}/site-packages", "/opt/python", "/opt/geumgo"]
    sys.path[:] = ["/var/task", *own, *layers, *sys.path, "/var/runtime"]
    sys.argv[:] = ["bootstrap", os.environ["_HANDLER"]]
    from awslambdaric.__main__ import main as run  # type: ignore[import-untyped, unused-ignore]

    run([*sys.argv])
