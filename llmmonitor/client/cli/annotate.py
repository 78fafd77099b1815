"""Mark a time in the charts, such as that of a deploy. The exit status is 0 if the annotation is stored.

llmmonitor annotate "deploy 1.4" --kind deploy --model llama-3-8b
llmmonitor annotate "driver 570" --kind config --host gpu-1 --at 2026-01-31T12:00:00Z
"""

from __future__ import annotations

import argparse
import sys

from llmmonitor.client.annotations import post_annotation
from llmmonitor.client.settings import read_settings

SUMMARY = "mark a time in the charts, such as that of a deploy"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the fields of the annotation."""
    parser.add_argument("text", help="at most 200 characters")
    parser.add_argument("--kind", choices=("deploy", "config", "note"), default="note", help="note by default")
    parser.add_argument("--model", metavar="NAME", help="draw it only in charts that have this model")
    parser.add_argument("--host", metavar="NAME", help="draw it only in charts that have this host")
    parser.add_argument(
        "--at", metavar="TIME", help="ISO 8601 or a Unix time, in UTC without an offset; now by default"
    )


def run(options: argparse.Namespace) -> int:
    """Post the annotation."""
    settings = read_settings(options.url, None, None, None, None, None)
    if settings.is_disabled:
        print("Nothing was sent, because LLMMONITOR_DISABLED is set.", file=sys.stderr)
        return 0
    problem = post_annotation(settings, options.text, options.kind, options.model, options.host, options.at)
    if problem:
        print(f"The annotation was not stored: {problem}", file=sys.stderr)
    return int(bool(problem))
