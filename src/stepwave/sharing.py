"""What a run shares with others on this machine, from the workflow to the lock files."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from stepwave.core.diagnostics import Diagnostic, error
from stepwave.core.model import RATE_LIMIT, Workflow, nothing
from stepwave.core.text import one_line, plural
from stepwave.edge.host_pools import HostPool, NoHostPools, folder_of, make_folder
from stepwave.edge.local.zygote import Zygote


class Shared(NamedTuple):
    """`lenders` by the names of their pools, none of them where something is wrong."""

    lenders: Mapping[str, HostPool] = nothing
    findings: tuple[Diagnostic, ...] = ()

    def keep(self, zygote: Zygote) -> None:
        """From here on no unit is free before the last step is dead. Not so a turn of the rate limit, which is over
        when its step has started."""
        for name, lender in self.lenders.items():
            if name != RATE_LIMIT:
                zygote.keep(lender.fd)

    def close(self) -> None:
        for lender in self.lenders.values():
            lender.close()


def shared(workflow: Workflow, environ: Mapping[str, str], remark: Callable[[str], None]) -> Shared:
    """The lenders of its pools and its rate limit, as far as they are the machine's. One that cannot be had is an error
    among the findings; that a run which goes on now has another limit is told to `remark`."""
    asked: dict[str, int] = {}
    lenders: dict[str, HostPool] = {}
    try:
        folder = folder_of(environ)
        make_folder(folder)
        for name in sorted(workflow.host_pools):
            lenders[name] = HostPool(folder, f"pool-{name}", workflow.pools[name], asked)
        if name := workflow.rate_limit_host:
            lenders[RATE_LIMIT] = HostPool(folder, f"rate-{name}", 1, asked, workflow.rate_limit_s)
    except NoHostPools as problem:
        Shared(lenders).close()
        message = f"what all runs on this machine share cannot be locked: {one_line(str(problem))}"
        help = "name a folder of your own on a local disk with STEPWAVE_HOST_DIR, or leave out `scope: host`"
        return Shared(findings=(error("no-host-pools", message, workflow.place, help),))
    _tell_differing(workflow, lenders, remark)
    return Shared(lenders)


def _tell_differing(workflow: Workflow, lenders: Mapping[str, HostPool], remark: Callable[[str], None]) -> None:
    for name, lender in lenders.items():
        if lender.other_limit is not None and name != RATE_LIMIT:
            own = plural(workflow.pools[name], "unit")
            remark(
                f"pool `{one_line(name, 80)}` has {own} here, and {lender.other_limit} in another run on this machine: "
                "each starts a step only where no more than its own limit are in use then, by all runs"
            )
