"""Finding processes, with /proc and without."""

import os
import subprocess
import sys

from stepwave.edge.local.trees import descendants, describe, parents, parents_by_psutil


def test_both_ways_of_looking_see_the_same_family() -> None:
    script = "import subprocess, sys; subprocess.run(['sh', '-c', 'echo $$; read line; :'], stdin=0)"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin
        assert child.stdout
        grandchild = int(child.stdout.readline())
        for table in (parents(), parents_by_psutil()):
            assert table[child.pid] == os.getpid()
            assert table[grandchild] == child.pid
        assert descendants(os.getpid()) >= {child.pid, grandchild}
        assert "read line" in describe(grandchild)
        child.stdin.write("go\n")
        child.stdin.flush()
    assert child.pid not in parents()
