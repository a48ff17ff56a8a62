"""stepwave: workflow files, run in parallel waves, within limits, with the right exit code.

    >>> import stepwave
    >>> loaded = stepwave.load("ci.yaml")       # doctest: +SKIP
    >>> stepwave.run(loaded.workflow).success   # doctest: +SKIP
    True

The functions are those of `stepwave.api`; importing this package imports none of it until one is asked for.
"""

TYPE_CHECKING = False  # the helper processes import this package, and typing costs a third of their start
if TYPE_CHECKING:
    from stepwave.api import Loaded, load, plan, run, validate
    from stepwave.core.building.means import Command
    from stepwave.core.summary import Summary

__version__ = "0.1.0"
__all__ = ["Command", "Loaded", "Summary", "__version__", "load", "plan", "run", "validate"]


def __getattr__(name: str) -> object:
    if name == "Summary":
        from stepwave.core.summary import Summary

        return Summary
    if name == "Command":
        from stepwave.core.building.means import Command

        return Command
    if name in __all__:
        from stepwave import api

        return getattr(api, name)
    raise AttributeError(f"module 'stepwave' has no attribute {name!r}")
