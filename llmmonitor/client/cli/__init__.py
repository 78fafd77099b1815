"""The command `llmmonitor`: check, send an event, watch the live figures, annotate. Standard library only."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from llmmonitor import __version__
from llmmonitor.client.cli import annotate, check, send, top

EPILOG = (
    "The environment has the address, LLMMONITOR_URL (http://127.0.0.1:8899 by default), and the key, "
    "LLMMONITOR_API_KEY."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Return the exit status: 0 if it succeeded, 1 if not; 2 for a wrong use."""
    parser = argparse.ArgumentParser(prog="llmmonitor", description=__doc__.partition(":")[0] + ".", epilog=EPILOG)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (check, send, top, annotate):
        own = commands.add_parser(
            command.__name__.rpartition(".")[2],
            help=command.SUMMARY,
            description=command.__doc__,
            epilog=EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        own.add_argument("--url", help="address of the server, instead of LLMMONITOR_URL")
        command.add_arguments(own)
        own.set_defaults(run=command.run)
    options = parser.parse_args(arguments)
    try:
        status = int(options.run(options))
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # such as `llmmonitor check | head -1`; Python would report it again when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
