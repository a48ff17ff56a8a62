"""A run as a JSON document: schemas/run.schema.json. Its names are those of `core.telling.story` in camelCase, units
and all, as in the documents of `record`; times are seconds after the start of the run.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from stepwave.core.telling.exporting.reading import Reading
from stepwave.core.telling.exporting.texts import json_text
from stepwave.core.telling.record import as_values, iso_time
from stepwave.core.telling.story import PoolStory, StepStory

RUN_VERSION = 1


def as_json(reading: Reading) -> Iterator[str]:
    """A line for each step, so that lines can be looked at."""
    document = as_values(reading.story._replace(steps=(), pools=(), widths=()))
    for name in ("steps", "pools", "widths"):
        del document[name]
    document["startedAt"] = iso_time(reading.story.started_at)
    document["pools"] = [_pool(pool) for pool in reading.story.pools]
    document["widths"] = [{"atS": round(at, 6), "maxConcurrency": width} for at, width in reading.story.widths]
    yield json_text({"v": RUN_VERSION, **document})[:-1] + ',"steps":[\n'
    between = ""
    for step in reading.story.steps:
        yield between + json_text(_step(reading, step))
        between = ",\n"
    yield "\n]}\n"


def _pool(pool: PoolStory) -> Mapping[str, Any]:
    levels = [{"atS": round(at, 6), "held": held} for at, held in pool.levels]
    return {"name": pool.name, "limit": pool.limit, "levels": levels}


def _step(reading: Reading, step: StepStory) -> Mapping[str, Any]:
    """What the plan knew of it and what became of it, side by side."""
    fields = as_values(step)
    drawn = fields.pop("drawn")
    drawn["resources"] = dict(step.drawn.resources)
    for test in fields["tests"]:
        del test["step"]
    if fields["decision"]:
        del fields["decision"]["step"]
    return {**drawn, "state": reading.state(step), **fields}
