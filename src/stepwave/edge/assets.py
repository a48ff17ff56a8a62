"""The packaged files that pages are put together from."""

from pathlib import Path

from stepwave.core.telling.page.page import SCRIPTS, Assets

_folder = Path(__file__).resolve().parent.parent / "core" / "telling" / "page" / "assets"


def page_assets() -> Assets:
    """Raises OSError when the installation is not complete."""
    return Assets(_read("page.html"), _read("page.css"), tuple(map(_read, SCRIPTS)))


def _read(name: str) -> str:
    return (_folder / name).read_text("utf-8")
