"""From what was typed to an engine: `local`, `dask`, `dask://host:port`, `slurm`, `python:module:factory`."""

from collections.abc import Callable
from importlib import import_module

from stepwave.edge.executors.contract import Engine, Refused

LOCAL = "local"
EXAMPLES = "local, dask, dask://host:port, slurm or python:module:factory"
_modules = {"dask": "dask", "slurm": "slurm", "python": "futures"}
_extras = {"dask": "distributed", "slurm": "submitit"}
"""What has to be installed, by the extra of stepwave that does it."""


def is_executor(text: str) -> bool:
    """Whether it can be one; what only the engine knows is seen when it is opened."""
    name, colon, rest = text.partition(":")
    if name == "python":
        return rest.count(":") == 1 and all(rest.split(":"))
    if name == "dask" and colon:
        scheme, slashes, address = rest.partition("//")
        return bool(slashes and address) and (not scheme or scheme.endswith(":"))
    return (name == LOCAL and not colon) or name in _modules


def open_engine(text: str, width: int | None) -> Engine:
    """`text` is one, and not `local`. `width`: how many attempts may run at a time, as far as that was said.

    Raises Refused: the engine cannot be reached, or what it needs is not installed.
    """
    name, _, rest = text.partition(":")
    needs = _extras.get(name)
    if needs is not None and not _is_installed(needs):
        raise Refused(f"`{name}` needs the package `{needs}`", f"pip install 'stepwave[{name}]'")
    module = import_module(f"stepwave.edge.executors.{_modules[name]}")
    make: Callable[[str, int | None], Engine] = module.open_engine
    return make(rest, width)


def _is_installed(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None
