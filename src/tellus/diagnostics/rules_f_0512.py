"""F-0512, configuration profile mismatch: what was assigned against what is reported."""

from tellus.configuration.model import RunningConfig
from tellus.diagnostics.model import UNTOLD, Verdict


def f_0512(running: RunningConfig, now_ms: int) -> Verdict:
    """Judge what a device says it runs.

    Undecided while the profile is on its way, and where the device has said nothing of it. A
    device that names its profile alone, or its hash alone, is judged by that.
    """
    if running.reported_profile_id is None and running.reported_hash is None:
        return UNTOLD
    other_profile = running.reported_profile_id not in {None, running.assigned_profile_id}
    reported_hash = running.reported_hash
    other_hash = (
        reported_hash is not None and reported_hash.lower() != running.assigned_hash.lower()
    )
    at_ms = running.reported_ms or now_ms
    if not other_profile and not other_hash:
        return Verdict(False, at_ms)
    if now_ms < running.settled_ms:
        return UNTOLD
    reported = f"{running.reported_profile_id or ''}/{running.reported_hash or ''}"
    assigned = f"{running.assigned_profile_id}/{running.assigned_hash}"
    evidence = {
        "assigned_profile_id": running.assigned_profile_id,
        "assigned_hash": running.assigned_hash,
        "reported_profile_id": running.reported_profile_id,
        "reported_hash": running.reported_hash,
        "mark": f"{assigned} {reported}",
    }
    what = "another profile" if other_profile else "the profile with other values"
    return Verdict(True, at_ms, f"The charger says that it runs {what}.", evidence)
