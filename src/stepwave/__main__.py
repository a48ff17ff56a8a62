"""`python -m stepwave` is the command."""

from stepwave.cli import main

main()
