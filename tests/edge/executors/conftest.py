"""One Dask cluster for all tests of this folder: it takes seconds to start."""

from collections.abc import Iterator

import pytest

from tests.edge.executors.cluster import Cluster, running


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler and a worker of four threads."""
    pytest.importorskip("distributed", reason="it is in the extra `dask`")
    with running(tmp_path_factory.mktemp("dask"), "--resources", "rare=1", threads=4) as cluster:
        yield cluster
