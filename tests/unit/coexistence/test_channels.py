"""What runs on which channel: facts as data, and every mixture of consents judged."""

from itertools import chain, combinations

import pytest

from tellus.coexistence.channels import load_capabilities
from tellus.coexistence.model_channels import Obstacle, Pattern
from tellus.coexistence.rules_channels import find_pattern, judge_capabilities
from tellus.consent.model import Service

OCPP = {"session_management", "driver_authentication", "customer_billing"}
HERE = {"hardware_health", "component_telemetry", "runbooks", "aggregated_energy"}
BOTH = {"v2g_dispatch", "load_flexibility", "firmware_rollouts"}
MIXTURES = list(chain.from_iterable(combinations(Service, n) for n in range(len(Service) + 1)))


def test_capabilities__channels__are_those_of_the_separation() -> None:
    """Billing, drivers and sessions are OCPP's, health and sums are ours, the rest is shared."""
    by_channel: dict[str, set[str]] = {"ocpp": set(), "platform": set(), "both": set()}
    for one in load_capabilities():
        by_channel[one.channel].add(one.name)
    assert by_channel == {"ocpp": OCPP, "platform": HERE, "both": BOTH}


@pytest.mark.parametrize("services", MIXTURES)
@pytest.mark.parametrize("v2g", [False, True])
def test_judge__any_mixture_of_services__enables_theirs_and_no_other(
    services: tuple[Service, ...], *, v2g: bool
) -> None:
    """A capability is enabled exactly where its service is on and the charger is able to."""
    for standing in judge_capabilities(
        load_capabilities(), services, v2g=v2g, firmware_too_old=False
    ):
        one, obstacle = standing
        if one.name in OCPP:
            assert obstacle is Obstacle.NOT_HERE
        elif one.name == "v2g_dispatch" and not v2g:
            assert obstacle is Obstacle.NO_V2G
        else:
            assert (obstacle is None) == (one.service in services)
            assert obstacle in (None, Obstacle.CONSENT)


def test_judge__old_firmware__is_named_before_consent() -> None:
    """Who cannot agree yet is told of the firmware, not of the consent."""
    standings = judge_capabilities(load_capabilities(), (), v2g=True, firmware_too_old=True)
    assert {one.obstacle for one in standings} == {Obstacle.NOT_HERE, Obstacle.FIRMWARE}


@pytest.mark.parametrize(
    ("services", "required", "v2g", "pattern"),
    [
        (list(Service), False, True, Pattern.MICROGRID),
        ([Service.DIAGNOSTICS], True, False, Pattern.DIAGNOSTIC_ADDON),
        ([Service.ENERGY_REPORTING], True, False, Pattern.DIAGNOSTIC_ADDON),
        ([Service.DIAGNOSTICS, Service.FLEXIBILITY], True, False, Pattern.MICROGRID),
        ([Service.V2G_DISPATCH, Service.DIAGNOSTICS], True, True, Pattern.V2G_INTEGRATOR),
        ([Service.V2G_DISPATCH, Service.DIAGNOSTICS], True, False, Pattern.DIAGNOSTIC_ADDON),
        ([Service.FIRMWARE], True, True, None),
        ([], True, True, None),
    ],
)
def test_find_pattern__services__come_to_one_pattern(
    services: list[Service], *, required: bool, v2g: bool, pattern: Pattern | None
) -> None:
    """What is on for a charger tells at a glance how the platform is used for it."""
    assert find_pattern(services, consent_required=required, v2g=v2g) is pattern
