"""One Slurm for all tests of this folder that ask for it; where it cannot be had, they say why they are skipped."""

from collections.abc import Iterator

import pytest

from tests.edge.executors.slurm.cluster import NODES, CannotStart, Cluster, started_cluster, wait_until


@pytest.fixture(scope="session")
def running_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    pytest.importorskip("submitit", reason="submitit is not installed: pip install 'stepwave[slurm]'")
    try:
        with started_cluster(tmp_path_factory.mktemp("slurm")) as cluster:
            yield cluster
    except CannotStart as problem:
        pytest.skip(f"no Slurm: {problem}")


@pytest.fixture
def cluster(running_cluster: Cluster) -> Iterator[Cluster]:
    """Both nodes are there for everybody, and afterwards nothing of the test is in the queue."""
    yield running_cluster
    for node in NODES:
        if running_cluster.node_state(node).startswith(("drain", "down")):
            running_cluster.set_node(node, "resume")
    # Their last processes end a moment after the run.
    assert wait_until(lambda: not running_cluster.jobs(), 20.0), f"left in the queue: {running_cluster.jobs()}"
    assert wait_until(lambda: all(usable(running_cluster.node_state(node)) for node in NODES), 20.0)


def usable(state: str) -> bool:
    return state in ("idle", "mixed", "completing")
