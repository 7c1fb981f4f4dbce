"""`python -m pointsman`, for where the command is not on the path."""

from pointsman.cli.main import main

main()
