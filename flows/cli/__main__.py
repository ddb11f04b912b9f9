"""`python -m flows.cli`: the same as `memdub`, for places where scripts are not on the path."""

from flows.cli.main import main

main()
