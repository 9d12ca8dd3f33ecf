"""A wheel whose hot path is machine code: the same modules, compiled by mypyc (which comes with mypy) and the C compiler.

`make run COMPILED=1` makes and serves it. In the wheel their sources lie beside the compiled modules, which the interpreter takes.
Which modules: `[tool.hatch.build.targets.wheel.hooks.custom]` in pyproject.toml.
"""

import ast
import os
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = Path("src")


class CompiledHook(BuildHookInterface[Any]):
    """What hatchling asks, where HATCH_BUILD_HOOK_ENABLE_CUSTOM is set: what else belongs in the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the compiled modules to a wheel. An editable one has none: they would stand before sources that change."""
        if version == "editable":
            return
        self._made = tempfile.TemporaryDirectory()
        made = Path(self._made.name)
        _compile([str(SOURCES / "geumgo" / f"{module}.py") for module in self.config["modules"]], made)
        build_data["force_include"] |= {str(found): str(found.relative_to(made)) for found in made.rglob("*.so")}
        build_data["infer_tag"], build_data["pure_python"] = True, False

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        if version != "editable":
            self._made.cleanup()


def refuse_what_would_mean_something_else(modules: list[str]) -> None:
    """Raises ValueError where mypyc leaves out what Python does.

    It drops the `from` of `raise`: whatever is being handled is told as what came before, also where `from None` would hide it.
    """
    wrong: list[str] = []
    for module in modules:
        nodes = list(ast.walk(ast.parse(Path(module).read_text(), module)))
        handlers = [node for node in nodes if isinstance(node, ast.ExceptHandler)]
        said = {id(node) for handler in handlers for node in ast.walk(handler) if _is_raised_from(node, handler.name)}
        causes = {node.lineno for node in nodes if isinstance(node, ast.Raise) and node.cause and id(node) not in said}
        wrong += [f"{module}:{line}" for line in sorted(causes)]
    if wrong:
        raise ValueError(f"compiled, `raise` tells of what is handled there, and of no other cause: {', '.join(wrong)}")


def _is_raised_from(node: ast.AST, name: str | None) -> bool:
    return isinstance(node, ast.Raise) and isinstance(node.cause, ast.Name) and node.cause.id == name


def _compile(modules: list[str], into: Path) -> None:
    """The modules, compiled together, so that they call each other without the interpreter. Raises what setuptools raises."""
    refuse_what_would_mean_something_else(modules)
    from mypyc.build import mypycify  # not there unless it is asked for
    from setuptools import Distribution

    level = os.environ.get("MYPYC_OPT_LEVEL", "3")  # of the C compiler; the tests take 0, for its time
    extensions = mypycify(
        modules, opt_level=level, multi_file=True, group_name="geumgo_hot_path", target_dir=str(into / "c")
    )
    building = Distribution({"name": "geumgo", "package_dir": {"": str(SOURCES)}, "ext_modules": extensions})
    building.script_name = "geumgo"  # what messages begin with
    command: Any = building.get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(into / "lib"), str(into / "objects")
    command.parallel = os.cpu_count()
    command.ensure_finalized()
    command.run()
    for kept in (into / "lib").iterdir():
        kept.rename(into / kept.name)
