"""``python -m twittomatic``."""

from twittomatic.cli import main

main(prog_name="twittomatic")
