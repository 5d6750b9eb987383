"""Exit statuses of the command line."""

DONE, FAILED, WRONG_USE = 0, 1, 2
