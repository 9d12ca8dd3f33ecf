"""`python -m geumgo`."""

from geumgo.cli import main

main()
