"""The shell around every page: head, navigation, main part and provenance. No half page is ever seen."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

TEMPLATES = Path(__file__).parent / "template"


@dataclass(frozen=True)
class Link:
    """A page as the navigation names it: its words, its address below the reports folder, and the section it is in."""

    label: str
    href: str
    key: str = ""


@dataclass(frozen=True)
class Site:
    """What all pages share: the portfolio's name and the sections (units, portfolio, models) of the navigation."""

    name: str
    sections: tuple[Link, ...] = ()


@dataclass(frozen=True)
class Page:
    """One page: its title, its address below the reports folder, its section, its neighbours and its provenance."""

    title: str
    href: str
    section: str = ""
    unit_label: str = ""
    siblings: tuple[Link, ...] = ()
    lead: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)

    @property
    def up(self) -> str:
        """The way from this page to the reports folder."""
        return "../" * self.href.count("/")


def render_page(page: Page, site: Site, body: str) -> str:
    """Return the whole page around an HTML body."""
    text = environment().get_template("page.html.j2").render(page=page, site=site, body=_trusted(body), css=_css())
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip()) + "\n"


def write_text(path: Path, text: str) -> bool:
    """Replace a file in one step, and only if its text differs; return whether it was written."""
    content = text.encode("utf-8")
    if path.is_file() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    draft.write_bytes(content)
    draft.replace(path)
    return True


@functools.cache
def environment():  # noqa: ANN201
    """Return the Jinja environment of the page templates, which escapes every value."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=False
    )


def _trusted(html: str):  # noqa: ANN202
    from markupsafe import Markup

    return Markup(html)


@functools.cache
def _css():  # noqa: ANN202
    return _trusted("".join((TEMPLATES / name).read_text(encoding="utf-8") for name in ("components.css", "page.css")))
