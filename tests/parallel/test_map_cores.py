"""How many workers: the formula by values and properties, the machine as it is."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwave import machine
from stepwave.parallel import cores, cpu_count, resource_aware_workers


@pytest.mark.parametrize(
    ("cpus", "memory_mb", "is_cpu_bound", "per_worker_mb", "workers"),
    [
        (8, None, True, 256, 7),
        (1, None, True, 256, 1),
        (4, None, False, 256, 16),
        (64, None, False, 300, 32),
        (64, None, False, 256, 64),
        (8, 1000, True, 256, 2),  # 700 MiB
        (8, 1000, False, 256, 8),  # small workers that wait: never fewer than CPUs
        (8, 1000, False, 300, 2),
        (8, 100, True, 256, 1),
        (8, 0, False, 1000, 1),
    ],
)
def test_the_formula(
    cpus: int, memory_mb: float | None, is_cpu_bound: bool, per_worker_mb: float, workers: int
) -> None:
    assert cores.fitting_workers(cpus, memory_mb, is_cpu_bound, per_worker_mb) == workers


@given(st.integers(1, 512), st.none() | st.floats(0, 1e7), st.booleans(), st.floats(0.1, 1e5))
def test_there_is_always_one_and_more_memory_never_means_fewer(
    cpus: int, memory_mb: float | None, is_cpu_bound: bool, per_worker_mb: float
) -> None:
    workers = cores.fitting_workers(cpus, memory_mb, is_cpu_bound, per_worker_mb)
    assert 1 <= workers <= max(32, cpus)
    if memory_mb is not None:
        assert workers <= cores.fitting_workers(cpus, 2 * memory_mb, is_cpu_bound, per_worker_mb)


def test_this_machine() -> None:
    assert 1 <= cpu_count() <= (os.cpu_count() or 1)
    assert resource_aware_workers(task_type="cpu") == max(
        1, min(cpu_count() - 1, resource_aware_workers(task_type="cpu"))
    )
    assert resource_aware_workers(max_cap=1) == 1
    assert resource_aware_workers(task_type="cpu", memory_per_worker_mb=1e9) == 1
    available = machine.available_bytes()
    assert available is not None
    assert available > 0


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_affinity_counts() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cpu_count() == 1
    finally:
        os.sched_setaffinity(0, before)


def test_without_a_file_about_memory_psutil_is_asked(tmp_path: Path) -> None:
    amount = machine.available_bytes(tmp_path / "none")
    assert amount is not None
    assert amount > 0
    (tmp_path / "meminfo").write_text("MemTotal: 100 kB\nMemAvailable:   42 kB\n")
    assert machine.available_bytes(tmp_path / "meminfo") == 42 * 1024


@pytest.mark.parametrize("options", [{"max_cap": 0}, {"memory_per_worker_mb": 0}, {"memory_per_worker_mb": -1.5}])
def test_what_makes_no_sense(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        resource_aware_workers(**options)  # type: ignore[arg-type]


# --- control groups ----------------------------------------------------------------------------------------


def groups(folder: Path, membership: str, **files: str) -> tuple[Path, Path]:
    """`files`: `a__cpu.max` is the file cpu.max of the group a."""
    (folder / "cgroup").write_text(membership)
    mount = folder / "mount"
    for name, text in files.items():
        file = mount / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    mount.mkdir(exist_ok=True)
    return folder / "cgroup", mount


def test_version_2_and_the_groups_above(tmp_path: Path) -> None:
    where = groups(
        tmp_path,
        "0::/a/b\n",
        **{
            "cpu.max": "max 100000",
            "a__cpu.max": "150000 100000\n",
            "a__b__cpu.max": "400000 100000\n",
            "a__memory.max": "1000\n",
            "a__memory.current": "900\n",
            "a__memory.stat": "anon 1\ninactive_file 300\n",
            "a__b__memory.max": "max\n",
            "a__b__memory.current": "900\n",
        },
    )
    assert machine.cpu_quota(*where) == 1.5
    assert machine.memory_left(*where) == 400


def test_version_1(tmp_path: Path) -> None:
    where = groups(
        tmp_path,
        "4:memory:/job\n3:cpu,cpuacct:/job\n2:cpuset:/\n0::/\n",
        **{
            "cpu,cpuacct__job__cpu.cfs_quota_us": "50000",
            "cpu,cpuacct__job__cpu.cfs_period_us": "100000",
            "cpu,cpuacct__cpu.cfs_quota_us": "-1",
            "cpu,cpuacct__cpu.cfs_period_us": "100000",
            "memory__job__memory.limit_in_bytes": "5000",
            "memory__job__memory.usage_in_bytes": "6000",
            "memory__memory.limit_in_bytes": "9223372036854771712",
            "memory__memory.usage_in_bytes": "6000",
        },
    )
    assert machine.cpu_quota(*where) == 0.5
    assert machine.memory_left(*where) == 0


def test_in_a_container_the_own_group_is_not_there(tmp_path: Path) -> None:
    where = groups(tmp_path, "0::/../../host/only\n", **{"cpu.max": "200000 100000"})
    assert machine.cpu_quota(*where) == 2


@pytest.mark.parametrize("membership", ["", "nonsense", "0::/a", "1:cpu:/a\n", "\udcff"])
def test_files_that_say_nothing(membership: str, tmp_path: Path) -> None:
    where = groups(tmp_path, "", **{"a__cpu.max": "no number\n", "a__memory.max": "", "cpu__a__cpu.cfs_quota_us": "x"})
    where[0].write_bytes(membership.encode("utf-8", "surrogateescape"))
    assert machine.cpu_quota(*where) is None
    assert machine.memory_left(*where) is None
    assert machine.cpu_quota(tmp_path / "none", tmp_path) is None
