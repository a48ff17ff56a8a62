"""The slots that a run has in common with make: from the job server to what lends its tokens to steps."""

from collections.abc import Callable
from contextlib import ExitStack

from stepwave.core.text import plural
from stepwave.edge.jobserver.place import Place
from stepwave.edge.jobserver.tokens import Tokens
from stepwave.edge.local.zygote import Zygote


def lending(place: Place, zygote: Zygote, closing: ExitStack, complain: Callable[[str], None]) -> Tokens:
    """The lender of a job server. Whatever comes below the zygote from here on can have its tokens; they go back when
    the zygote is gone, and `complain` hears what has gone wrong with them, as far as anybody can know."""
    tokens = Tokens(place)
    closing.callback(_tell, tokens, complain)
    closing.callback(tokens.close)
    closing.callback(zygote.close)
    zygote.keep(tokens.kept)
    if place.handed or place.env:
        zygote.hand(place.handed, place.env)
    tokens.begin()
    return tokens


def _tell(tokens: Tokens, complain: Callable[[str], None]) -> None:
    if tokens.lost:
        complain("the process that keeps the tokens of the job server was killed: no more were taken from then on")
    if tokens.missed:
        count = plural(tokens.missed, "token")
        complain(f"steps took {count} of the job server and did not give them back; they have been replaced")
