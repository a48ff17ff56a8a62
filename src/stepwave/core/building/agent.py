"""An agent or a tool: what it is asked, and the program that its profile names.

`AGENT_PROMPT` and `AGENT_PARAMETERS` are set when the step starts, from `Step.agent`.
"""

from stepwave.core.building.command import Work
from stepwave.core.building.fields import Found, Reading, one, quoted, text
from stepwave.core.building.fields_many import nested, template, words
from stepwave.core.building.profiles import PROMPT, Match, Own, find_profile, names_of
from stepwave.core.model import Agent, Stdin
from stepwave.core.model import nothing as empty
from stepwave.core.reading.document import Node, Sequence, Span
from stepwave.core.text import one_line


def agent_work(r: Reading, step: str, span: Span, found: Found, own: Own) -> Work:
    """The command that the profile names; without one nothing can carry it out, which `run` tells when it gets there.

    `own` are the profiles of the file, from `profiles.own_profiles`.
    """
    named = found.get("agent") or found.get("tool")
    said = one(r, found, "agent", text), one(r, found, "tool", text)
    name = said[0] or said[1] or "default"
    agent = _asked(r, step, found, name)
    section = "tools" if "tool" in found and "agent" not in found else "agents"
    match = find_profile(r, own, section, name)
    place = named.node.span if named else span
    if match is None and (named is None or said != (None, None)):
        message = f"no executor for agent {quoted(name)}: `run` will fail this step"
        help = (
            f"say what it runs, here or in a file for `--tools`: `{section}: {{{one_line(name, 40)}: {{command: …}}}}`"
        )
        r.warning("no-executor", message, place, r.did_you_mean(name, names_of(r, own)) or help)
    work = Work(agent=agent, stdin=_read_by(agent, found))
    return _as_profile_says(r, work, match, name, place) if match else work


def _as_profile_says(r: Reading, work: Work, match: Match, name: str, place: Span) -> Work:
    profile = match.profile
    if profile is None:
        return work
    if match.absent:
        message = f"agent {quoted(name)} is not installed: there is no program {quoted(profile.argv[0])}"
        r.warning("agent-not-installed", message, place, "install it, or write a profile of your own under this name")
    return work._replace(
        argv=profile.argv,
        env=profile.env,
        cwd=profile.cwd,
        stdin=work.stdin if profile.stdin == PROMPT else profile.stdin,
        timeout_s=profile.timeout_s,
        success_pattern=profile.success_pattern,
        failure_pattern=profile.failure_pattern,
    )


def _asked(r: Reading, step: str, found: Found, name: str) -> Agent:
    """Without a prompt the tasks are it, one a line."""
    prompt = one(r, found, "prompt", text)
    if prompt is not None:
        template(r, step, prompt, found["prompt"].node)
    tasks = one(r, found, "tasks", words) or []
    for (task, _), node in zip(tasks, _items(found["tasks"].node) if tasks else [], strict=False):
        template(r, step, task, node)
    lines = tuple(task for task, _ in tasks)
    parameters = one(r, found, "parameters", lambda r, given: nested(r, given, step)) or empty
    return Agent(name, "\n".join(lines) if prompt is None and lines else prompt, lines, parameters)


def _items(node: Node) -> list[Node]:
    return node.items if isinstance(node, Sequence) else [node]


def _read_by(agent: Agent, found: Found) -> Stdin | None:
    """Tasks end with a new line, each of them: `while read task` is to see the last one too."""
    if agent.prompt is None:
        return None
    return Stdin(text=agent.prompt if "prompt" in found else agent.prompt + "\n")
