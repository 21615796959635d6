"""Files that the site serves: a few of our own, and those of the reference page's package."""

import hashlib
import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from string import Template
from typing import Final, NamedTuple

_OWN: Final = ("docs.js", "site.css")
_REFERENCE: Final = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")
_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "png": "image/png",
}


class Asset(NamedTuple):
    """One file: its bytes, what they are, and a tag that changes with them."""

    content: bytes
    media_type: str
    etag: str


def load_assets() -> dict[str, Asset]:
    """Return all assets by name.

    Raises:
        FileNotFoundError: the reference page's package is not installed whole.
    """
    own = files("tellus.surfaces.site") / "pages"
    reference = _reference_folder()
    found = {name: _load(own / name) for name in _OWN}
    return found | {name: _load(reference / name) for name in _REFERENCE}


def load_page(name: str) -> Template:
    """Return a page of our own, to be filled in."""
    return Template((files("tellus.surfaces.site") / "pages" / name).read_text("utf-8"))


def make_asset(content: bytes, media_type: str) -> Asset:
    """Return ``content`` with its tag."""
    digest = hashlib.sha256(content).hexdigest()[:32]
    return Asset(content, media_type, f'"{digest}"')


def _load(file: Traversable) -> Asset:
    return make_asset(file.read_bytes(), _TYPES[file.name.rpartition(".")[2]])


def _reference_folder() -> Traversable:
    """Return the newest release of the reference page that its package holds."""
    holding = [
        folder
        for folder in _folders(files("swagger_ui_bundle"), depth=2)
        if all((folder / name).is_file() for name in _REFERENCE)
    ]
    if not holding:
        raise FileNotFoundError("swagger_ui_bundle holds no " + _REFERENCE[0])
    return max(holding, key=lambda folder: [int(n) for n in re.findall(r"\d+", folder.name)])


def _folders(root: Traversable, depth: int) -> Iterator[Traversable]:
    yield root
    if depth:
        for entry in root.iterdir():
            if entry.is_dir():
                yield from _folders(entry, depth - 1)
