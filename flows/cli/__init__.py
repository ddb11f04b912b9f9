"""The command line: `memdub`. One module a group of commands, each imported only when it is asked for.

Every command takes --json: one JSON object on standard output, everything else on standard error.
Exit status 0 done, 1 the work failed, 2 the request is wrong. Errors are one line.
"""

from flows.cli.main import main

__all__ = ["main"]
