"""The secrets of a run: their values, fetched where they lie, and what hides them."""

import os
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from stepwave.core.masked import Masks, stand_ins
from stepwave.core.model import Secret, Workflow
from stepwave.edge.secrets import Answer, Fetched, answered, fetch

if TYPE_CHECKING:
    from stepwave.edge.local.zygote import Zygote

TIMEOUT_S = 30.0
"""Of the command of one secret."""


def fetched(
    workflow: Workflow, environ: Mapping[str, str], zygote: "Zygote", deselected: frozenset[str] = frozenset()
) -> Fetched:
    """The values of all that the steps get, and of what else is in the environment. `deselected` steps get none.

    Commands are run, below `zygote`. What cannot be had is an error among the findings.
    """
    wanted = {name for step in workflow.steps if step.id not in deselected for name in step.secrets}
    secrets = [one for one in workflow.secrets if one.name in wanted or one.env in environ]
    return fetch(secrets, environ, partial(_read, workflow, zygote), wanted)


def known(workflow: Workflow, environ: Mapping[str, str]) -> Masks:
    """What hides as many as can be known without running anything, and what stands in for all of them."""
    secrets = [one for one in workflow.secrets if not one.argv]
    found = fetch(secrets, environ, partial(_read, workflow, None), ())
    others = {f"<{name}>": text for name, text in stand_ins(workflow.secrets).items()}
    return Masks({**found.values, **others})


def _read(workflow: Workflow, zygote: "Zygote | None", secret: Secret) -> bytes | str:
    if secret.path is not None:
        return _file(os.path.join(workflow.folder, secret.path))  # noqa: PTH118 - shown as it is
    assert zygote is not None
    from stepwave.edge.local.asking import ask

    cwd = os.path.join(workflow.folder, secret.base)  # noqa: PTH118
    try:
        return answered(Answer(*ask(zygote, secret.argv, cwd, TIMEOUT_S)))
    except OSError as problem:
        return answered(Answer(problem=f"could not be run: {problem.strerror}"))


def _file(path: str) -> bytes | str:
    from stepwave.edge.files import CannotRead, read_bytes

    try:
        return read_bytes(path)
    except CannotRead as problem:
        return str(problem)
