"""Where devices stood: remembered when one is moved, so that energy stays where it was moved."""

from tellus.energy import store_marks, store_places
from tellus.energy.marks import LATE_MS
from tellus.energy.model_rows import PastPlace
from tellus.fleet.administration import DeviceChanged
from tellus.fleet.directory import Directory
from tellus.kernel.clock import Clock
from tellus.storage.database import Tx

_BEFORE_ALL_MS = -(2**62)


class Places:
    """Reacts to changes of devices; ``reads_log`` where the log can be asked for a device."""

    def __init__(self, directory: Directory, clock: Clock, *, reads_log: bool) -> None:
        self._directory = directory
        self._clock = clock
        self._reads_log = reads_log

    def on_changed(self, tx: Tx, changed: DeviceChanged) -> None:
        """Remember the place that a device leaves, and fold it again where its rating changes.

        A device that has said nothing yet was always where it is put first.
        """
        now_ms = self._clock.now_ms()
        if changed.has_moved and self._has_facts(tx, changed.device_no):
            place = PastPlace(changed.now_ms, changed.operator_id, changed.site_id)
            store_places.append_place(tx, changed.device_no, place)
            if changed.now_ms < now_ms - LATE_MS:
                store_marks.mark_all(tx, changed.now_ms, changed.now_ms, now_ms, changed.device_no)
        if changed.has_other_figures:
            # What is believed of its samples depends on it, also of those long ago.
            store_marks.mark_all(tx, _BEFORE_ALL_MS, now_ms, now_ms, changed.device_no)

    def _has_facts(self, tx: Tx, device_no: int) -> bool:
        device = self._directory.by_no(device_no)
        if device is not None and any(one.time_ms for one in device.connectors.values()):
            return True
        return store_places.has_facts(tx, device_no, reads_log=self._reads_log)
