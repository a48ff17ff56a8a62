"""A run that was seen and a run that was recorded are told alike."""

from pathlib import Path

from stepwave import __version__, api, records
from stepwave.core.plan import Plan
from stepwave.core.telling.witness import Witness
from stepwave.past import file_of
from tests.cli.invoke import flow

FLOW = """\
    name: Seen
    version: 1.0.0
    resources: {one: 1}
    onFailure: skip_dependents
    steps:
      - {id: list, run: 'echo "[1, 2, 3]"'}
      - {id: each, needs: list, forEach: "{{steps.list.output}}", run: 'echo {{item}}', resources: {one: 1}}
      - {id: again, run: 'echo x >> tries; test $(wc -l < tries) -eq 2', retry: {attempts: 3, delay: 0}}
      - {id: bad, needs: again, run: exit 3, acceptanceTests: [{id: t, command: "true"}]}
      - {id: never, needs: bad, run: "true"}
    finally:
      - {id: tidy, run: "true"}
    """


def test_what_was_seen_is_what_was_recorded(tmp_path: Path) -> None:
    file = flow(tmp_path, FLOW)
    seen: list[Witness] = []

    def watch(plan: Plan, folder: Path) -> Witness:
        del folder
        seen.append(Witness(plan))
        return seen[0]

    summary = api.run(file, courtesy=[watch])
    recorded = records.story_in(Path(summary.folder))
    assert recorded is not None
    assert [step.drawn.id for step in recorded.steps][:5] == ["list", "each", "each[1]", "each[2]", "each[3]"]
    told = seen[0].story(summary, file_of(str(file)), __version__)
    assert told._replace(started_at=0.0, wall_s=0.0) == recorded._replace(started_at=0.0, wall_s=0.0)
    assert abs(told.started_at - recorded.started_at) < 0.1
    assert abs(told.wall_s - recorded.wall_s) < 0.1
    assert records.story_in(tmp_path / "no" / "such" / "run") is None
