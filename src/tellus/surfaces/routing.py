"""Finding the endpoint of a method and path."""

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tellus.kernel.errors import ApiError, InvalidParameter, MethodNotAllowed, NotFound
from tellus.kernel.ids import is_identifier
from tellus.surfaces.endpoint import Endpoint, Services
from tellus.surfaces.routes import Route

_CONNECTOR: Final = "connector_id"
_CONNECTOR_LARGEST: Final = 255
_RECORD: Final = "record_id"
_RECORD_CHARACTERS: Final = 128
_UNSTORABLE: Final = frozenset({"Cc", "Cs"})
_DIGITS_LARGEST: Final = 4

Found = tuple[Endpoint, dict[str, Any]]


class Router:
    """Fixed paths by one look-up; paths with parameters by their segments."""

    def __init__(self, routes: Iterable[Route], services: Services) -> None:
        self._fixed: dict[str, dict[str, Endpoint]] = {}
        self._patterns: dict[int, list[tuple[tuple[str, ...], dict[str, Endpoint]]]] = {}
        self.endpoints: list[Endpoint] = []
        for route in routes:
            endpoint = Endpoint(route, services)
            self.endpoints.append(endpoint)
            self._methods(route.path)[route.method] = endpoint

    def find(self, method: str, path: str) -> Found:
        """Return the endpoint and its path parameters as sent.

        Raises:
            NotFound: no such path.
            MethodNotAllowed: the path serves other methods.
        """
        methods = self._fixed.get(path)
        if methods is not None:
            endpoint = methods.get(method)
            if endpoint is not None:
                return endpoint, {}
            raise MethodNotAllowed(method, ", ".join(sorted(methods)))
        segments = tuple(path.split("/"))
        for pattern, candidates in self._patterns.get(len(segments), ()):
            parameters = _match(pattern, segments)
            if parameters is None:
                continue
            endpoint = candidates.get(method)
            if endpoint is None:
                raise MethodNotAllowed(method, ", ".join(sorted(candidates)))
            return endpoint, parameters
        message = "No such path"
        raise NotFound(message)

    def _methods(self, path: str) -> dict[str, Endpoint]:
        if "{" not in path:
            return self._fixed.setdefault(path, {})
        segments = tuple(path.split("/"))
        patterns = self._patterns.setdefault(len(segments), [])
        for pattern, methods in patterns:
            if pattern == segments:
                return methods
        methods = {}
        patterns.append((segments, methods))
        patterns.sort(key=lambda entry: sum(part.startswith("{") for part in entry[0]))
        return methods


def _match(pattern: tuple[str, ...], segments: tuple[str, ...]) -> dict[str, Any] | None:
    parameters: dict[str, Any] = {}
    for expected, segment in zip(pattern, segments, strict=True):
        if expected.startswith("{") and segment:
            parameters[expected[1:-1]] = segment
        elif expected != segment:
            return None
    return parameters


def check_path(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the path parameters with their types.

    Raises:
        InvalidParameter: a connector number is not one.
        NotFound: an identifier has a shape that none of ours has.
    """
    checked: dict[str, Any] = {}
    for name, text in parameters.items():
        if name == _CONNECTOR:
            checked[name] = _connector_number(text)
        elif is_identifier(text) or (name == _RECORD and _is_record_id(text)):
            checked[name] = text
        else:
            raise _unknown()
    return checked


def _connector_number(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= _DIGITS_LARGEST:
        number = int(text)
        if 1 <= number <= _CONNECTOR_LARGEST:
            return number
    message = "Parameter 'connector_id' must be a whole number from 1 to 255"
    raise InvalidParameter(message, _CONNECTOR, text)


def _is_record_id(text: str) -> bool:
    """Tell whether a charger may have given a record this identifier (rule U3a)."""
    if len(text) > _RECORD_CHARACTERS:
        return False
    return all(unicodedata.category(letter) not in _UNSTORABLE for letter in text)


def _unknown() -> ApiError:
    return NotFound()
