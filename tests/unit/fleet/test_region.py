"""An installation serves the region that its store was set up for."""

import asyncio
from pathlib import Path

import pytest

from tellus.app import Platform
from tellus.config import load_configuration
from tellus.fleet.sites import RegionMismatch
from tellus.logs import LogRecorder


async def start(data_dir: Path, region: str) -> None:
    """Start a platform and stop it."""
    flags = {"data_dir": str(data_dir), "instance.region": region}
    settings = load_configuration(flags, environment={}).settings
    platform = Platform(settings, LogRecorder())
    await platform.start()
    await platform.stop()


def test_start__on_a_store_of_another_region__is_refused_with_both_names(tmp_path: Path) -> None:
    """A store stays in its region; with that one set it starts again."""
    asyncio.run(start(tmp_path, "eu"))
    with pytest.raises(RegionMismatch, match=r"region eu, but region us"):
        asyncio.run(start(tmp_path, "us"))
    asyncio.run(start(tmp_path, "eu"))
