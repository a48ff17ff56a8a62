"""What carries out the orders of a run: processes of this machine, functions of this program, or an engine; and what
stands before them, for what is not the run's own. What of all this there is, `api` has decided."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from stepwave.core.tracing import VARIABLE, trace_of
from stepwave.edge.local.launcher import LocalLauncher
from stepwave.edge.local.zygote import Zygote
from stepwave.engine import Inbox, Launcher

if TYPE_CHECKING:
    from stepwave.core.masked import Masks
    from stepwave.edge.callables import Calling, Calls
    from stepwave.edge.executors.contract import Engine
    from stepwave.edge.executors.placing import Placing
    from stepwave.edge.jobserver.place import Place
    from stepwave.edge.leasing import Lender
    from stepwave.sharing import Shared


class Around(NamedTuple):
    """What all of them have to know. `folder` is that of the run, `complain` is told sentences for a person."""

    inbox: Inbox
    folder: Path
    environ: Mapping[str, str]
    masks: "Masks | None"
    complain: Callable[[str], None]


class Hands(NamedTuple):
    """`launcher` has the steps, and can stand still; `lenders` what they take that is not the run's own."""

    launcher: "LocalLauncher | Calling | Placing"
    lenders: "Mapping[str, Lender]"

    def front(self, inbox: Inbox, *, senses: bool) -> Launcher:
        """What orders are given to. `senses`: how busy the machine is will be asked. Whoever made the lenders closes
        them."""
        launcher: Launcher = self.launcher
        if senses:
            from stepwave.edge.sensor import Sensing

            launcher = Sensing(launcher, inbox)
        if self.lenders:
            from stepwave.edge.leasing import Leasing

            launcher = Leasing(launcher, inbox, self.lenders)
        return launcher


def hands(
    around: Around,
    closing: ExitStack,
    zygote: Zygote | None,
    *,
    calls: "Calls | None" = None,
    jobserver: "Place | None" = None,
    engine: "Engine | None" = None,
    shared: "Shared | None" = None,
) -> Hands:
    """Everything is closed with `closing`, the steps first."""
    if jobserver is not None or shared is not None:
        zygote = zygote or Zygote(around.environ)
    lenders: dict[str, Lender] = {}
    if shared is not None and zygote is not None:
        closing.callback(shared.close)
        shared.keep(zygote)
        lenders |= shared.lenders
    if zygote is not None:
        closing.callback(zygote.close)
    if jobserver is not None and zygote is not None:
        from stepwave.slots import lending

        lenders["jobserver"] = lending(jobserver, zygote, closing, around.complain)

    def others() -> "LocalLauncher | Placing":
        return _placing(around, engine) if engine is not None else _processes(around, zygote)

    launcher = others() if calls is None else _calling(around, calls, others)
    closing.callback(launcher.close)
    return Hands(launcher, lenders)


def _processes(around: Around, zygote: Zygote | None) -> LocalLauncher:
    """What makes processes of steps; each is told that it belongs to the trace of the run, or of its caller."""
    trace = trace_of(around.folder.name, around.environ.get(VARIABLE))
    forms = around.masks.forms if around.masks else ()
    return LocalLauncher(around.inbox, around.folder, zygote or Zygote(around.environ), forms, trace)


def _placing(around: Around, engine: "Engine") -> "Placing":
    from stepwave.elsewhere import place

    return place(engine, around.inbox, around.folder, around.masks, around.environ)


def _calling(around: Around, calls: "Calls", others: "Callable[[], LocalLauncher | Placing]") -> "Calling":
    from stepwave.edge.callables import Calling

    return Calling(calls, others, around.inbox, around.folder)
