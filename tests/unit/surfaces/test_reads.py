"""Every operation that shows operators something says whether that is data of devices."""

from tellus.kernel.call import Audience
from tellus.surfaces.reads import READS, READS_NOTHING
from tellus.surfaces.tables import ROUTES

OF_DEVICES = {"adminListDevices", "adminGetDevice"}


def test_reads__each_get_of_an_operator__is_data_of_devices_or_not() -> None:
    """No GET for operators goes uncounted because nobody thought of it."""
    shown = {
        route.operation_id
        for route in ROUTES
        if route.audience is Audience.OPERATOR and route.method == "GET"
    }
    assert shown - READS.keys() - READS_NOTHING == set()
    assert READS.keys() & READS_NOTHING == set()


def test_reads__names__are_those_of_operations() -> None:
    """Whatever is classified exists, and administrators' looks at devices are counted too."""
    operations = {route.operation_id for route in ROUTES}
    assert (READS.keys() | READS_NOTHING) - operations == set()
    assert READS.keys() >= OF_DEVICES
