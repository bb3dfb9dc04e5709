"""`python -m mailmig`."""

from mailmig.cli.main import main

main()
