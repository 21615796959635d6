"""Builds privacy: what is held about whom, exports, and what erasing does in texts."""

from typing import NamedTuple

from tellus.building import Ground
from tellus.config import effective_values
from tellus.fleet.erasure import ErasureService
from tellus.privacy.mentions import Mentions
from tellus.privacy.record import ProcessingRecord, load_record
from tellus.privacy.subjects import SubjectService
from tellus.telemetry.service import TelemetryService


class PrivacyParts(NamedTuple):
    """What handlers ask for."""

    record: ProcessingRecord
    subjects: SubjectService


def build_privacy(
    ground: Ground, telemetry: TelemetryService, erasures: ErasureService
) -> PrivacyParts:
    """Build what shows what is held about whom, and have texts forget erased vehicles."""
    values = effective_values(ground.settings)
    days = {name: values[name] for table in load_record() for name in table.settings}
    mentions = Mentions(ground.database, ground.vault)
    erasures.forget_beside = mentions.forget
    subjects = SubjectService(ground.database, ground.vault, telemetry, mentions, ground.clock)
    return PrivacyParts(ProcessingRecord(days), subjects)
