"""Run one command once and tell what it took, as JSON. A process of its own, started by `python -I -S`.

Why its own: Linux counts what the parent had at the time of the fork into the child's ru_maxrss, so whoever starts
the command must be smaller than what is measured; this one is under 12 MB.

Usage: sample.py OUTPUT COMMAND [ARGUMENT...]   (stdout and stderr of the command go to the file OUTPUT)
"""

import os
import sys
import time


def main() -> None:
    output = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    argv = sys.argv[2:]
    actions = [(os.POSIX_SPAWN_DUP2, output, fd) for fd in (1, 2)]
    began = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    wall_s = time.perf_counter() - began
    code = os.waitstatus_to_exitcode(status)
    cpu_s = usage.ru_utime + usage.ru_stime
    unit = 1 if sys.platform == "darwin" else 1024
    rss_bytes = usage.ru_maxrss * unit
    sys.stdout.write(f'{{"code": {code}, "wall_s": {wall_s}, "cpu_s": {cpu_s}, "rss_bytes": {rss_bytes}}}\n')


main()
