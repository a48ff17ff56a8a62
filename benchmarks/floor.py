"""The floor in Python: COUNT times /bin/true, WIDTH at a time, by posix_spawn and wait, and nothing else.

Usage: floor.py COUNT WIDTH
"""

import os
import sys


def main() -> None:
    count, width = int(sys.argv[1]), int(sys.argv[2])
    running = 0
    for _ in range(count):
        if running == width:
            os.wait()
            running -= 1
        os.posix_spawn("/bin/true", ["/bin/true"], os.environ)
        running += 1
    while running:
        os.wait()
        running -= 1


main()
