"""A `Flow` for a workflow file in another folder than the one in which the source's commands run."""

import posixpath
import re
from collections.abc import Mapping

from stepwave.core.importing.flow import Flow, Step, Yaml
from stepwave.core.importing.holes import escaped


def placed(flow: Flow, base: str) -> Flow:
    """`base` leads from the folder of the workflow file to that of the source; "" where they are the same."""
    keys = _with_defaults(flow.keys, base)
    if base and "dotenv" in keys:
        keys["dotenv"] = _moved_all(keys["dotenv"], base)
    steps = tuple(_placed(step, base) for step in flow.steps)
    return flow._replace(keys=keys, steps=steps, last=tuple(_placed(step, base) for step in flow.last))


def _with_defaults(keys: Mapping[str, Yaml], base: str) -> dict[str, Yaml]:
    """With what steps get that do not say otherwise: the folder, and variables that are made of others, which may have
    the same name. In the `env` of a workflow, `{{env.PATH}}` is what stands there."""
    env = keys.get("env")
    variables = env if isinstance(env, Mapping) else {}
    made = {name: text for name, text in variables.items() if isinstance(text, str) and "{{default(env." in text}
    plain = {name: text for name, text in variables.items() if name not in made}
    defaults: dict[str, Yaml] = {"workingDirectory": escaped(base)} if base else {}
    if made:
        defaults["env"] = made
    others = {key: value for key, value in keys.items() if key != "env"}
    return {**({"env": plain} if plain else {}), **({"defaults": defaults} if defaults else {}), **others}


def _placed(step: Step, base: str) -> Step:
    if step.once:
        if not base:
            asks = f"!fileExists('{step.once}')"
            return step._replace(condition=f"{asks} && ({step.condition})" if step.condition else asks)
        step = step._replace(inputs=())
    if not base:
        return step
    more = dict(step.more)
    if "dotenv" in more:
        more["dotenv"] = _moved_all(more["dotenv"], base)
    pattern = escaped(re.sub(r"([*?\[])", r"[\1]", base))
    return step._replace(
        folder=_moved(step.folder, escaped(base)) if step.folder else "",
        inputs=None if step.inputs is None else tuple(_moved(path, pattern) for path in step.inputs),
        outputs=tuple(_moved(path, pattern) for path in step.outputs),
        more=more,
    )


def _moved(path: str, base: str) -> str:
    return path if path.startswith(("/", "{{")) else posixpath.join(base, path)


def _moved_all(paths: Yaml, base: str) -> Yaml:
    if isinstance(paths, str):
        return _moved(paths, escaped(base))
    return (
        [_moved(one, escaped(base)) for one in paths if isinstance(one, str)]
        if isinstance(paths, list | tuple)
        else paths
    )
