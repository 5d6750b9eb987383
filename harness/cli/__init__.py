"""The command line: reads words, calls the library, prints tables. Its errors are one line and exit status 2."""

from harness.cli.asked import asked_device, asked_request, default_folder
from harness.cli.main import main
from harness.cli.options import add_run_options
from harness.cli.progress import shown_progress, silent_progress
from harness.cli.runs import default_metric, write_report

__all__ = [
    "add_run_options",
    "asked_device",
    "asked_request",
    "default_folder",
    "default_metric",
    "main",
    "shown_progress",
    "silent_progress",
    "write_report",
]
