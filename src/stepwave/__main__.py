"""`python -m stepwave` is the command."""

import sys
from pathlib import Path

# -m puts the current folder first, and with it any yaml.py or rich.py that lies there; the command does not.
if sys.path and Path(sys.path[0]).resolve() == Path.cwd() and not Path(__file__).is_relative_to(Path.cwd()):
    del sys.path[0]

from stepwave.cli import main

main()
