"""Runs `tellus serve` on a platform whose patience is short: minutes are seconds.

`python quick_server.py serve ...`. Only times are shortened.
"""

from tellus.configuration import rules as configuration
from tellus.diagnostics import rules_clearing, rules_f_0301
from tellus.fleet.rules import Reconnects

if __name__ == "__main__":
    configuration.TOLD_WITHIN_MS = 1_000  # type: ignore[misc]
    configuration.LOOK_EVERY_MS = 500  # type: ignore[misc]
    rules_clearing._SETTLED_MS = 2_000  # type: ignore[misc]
    rules_clearing._LONG_SETTLED_MS = 2_000  # type: ignore[misc]
    rules_f_0301.STORM_WINDOW_MS = 5_000  # type: ignore[misc]
    Reconnects.WINDOW_MS = 20_000  # type: ignore[misc]

    from tellus.cli import main

    main(prog_name="tellus")
