"""`python -m stepwave` is the command."""

import os
import sys


def _forget_the_current_folder() -> None:
    """-m puts it first on sys.path, and with it any yaml.py or rich.py that lies there; the command does not.

    With -P it is there only if PYTHONPATH names it, and stays.
    Only what the interpreter has already loaded is imported up to here: everything else could come from that folder.
    """
    try:
        here = os.getcwd()  # noqa: PTH109
    except OSError:  # it has been removed
        return
    if not sys.flags.safe_path and sys.path[0] == here and not __file__.startswith(f"{here}{os.sep}stepwave{os.sep}"):
        del sys.path[0]


_forget_the_current_folder()

from stepwave.cli import main  # noqa: E402

main()
