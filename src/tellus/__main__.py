"""``python -m tellus`` is the command ``tellus``."""

from tellus.cli import main

main(prog_name="tellus")
