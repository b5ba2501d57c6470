"""Markdown to HTML for prose and markdown cells: formulas become MathML, links never leave the reports."""

import functools
import re

from cvmlib.reporting import escape

_REMOTE = re.compile(r"^\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
_SCHEME = re.compile(r"^\s*[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def render(source: str, raw_html: bool = False, top_heading: int = 2) -> str:
    """Render Markdown as HTML.

    Parameters
    ----------
    source : str
        Markdown with tables, footnote-free, formulas between ``$`` or ``$$``.
    raw_html : bool
        Let HTML in the source through. Only for text written in the repository, never for text from data.
    top_heading : int
        The highest heading level to write: a ``#`` becomes ``<h2>`` when it is 2, and no level is skipped.

    Returns
    -------
    str
        HTML without scripts and without remote addresses (a link to the web is written out as text).
    """
    return _parser(raw_html, top_heading)(source).strip()


def formula(latex: str, display: bool = False) -> str:
    """Return a LaTeX formula as MathML; a formula that cannot be read is shown as code."""
    import latex2mathml.converter

    try:
        mathml = latex2mathml.converter.convert(latex.strip(), display="block" if display else "inline")
    except Exception:
        return f"<code>{escape.html(latex)}</code>"
    mathml = mathml.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "")
    if not display:
        return mathml
    return f'<div class="cvm-formula" tabindex="0" role="group" aria-label="Formula">{mathml}</div>'


@functools.cache
def _parser(raw_html: bool, top_heading: int):  # noqa: ANN202
    from mistune import import_plugin
    from nbconvert.filters.markdown_mistune import MarkdownWithMath

    renderer = _renderer_class()(escape=not raw_html, allow_harmful_protocols=False)
    renderer.top_heading = top_heading
    plugins = [import_plugin(name) for name in ("table", "strikethrough", "task_lists")]
    return MarkdownWithMath(renderer, plugins=plugins)


@functools.cache
def _renderer_class() -> type:
    from nbconvert.filters.markdown_mistune import IPythonRenderer

    class Renderer(IPythonRenderer):
        """Headings in order, formulas as MathML, links and images only within the page or to its neighbours."""

        top_heading = 2

        def heading(self, text: str, level: int, **attrs: object) -> str:
            level = min(level + self.top_heading - 1, 6)
            return f"<h{level}>{text}</h{level}>\n"

        def block_math(self, body: str) -> str:
            return formula(body, display=True)

        def inline_math(self, body: str) -> str:
            return formula(body)

        def latex_environment(self, name: str, body: str) -> str:
            return formula(f"\\begin{{{name}}}{body}\\end{{{name}}}", display=True)

        def link(self, text: str, url: str, title: str | None = None) -> str:
            if _REMOTE.match(url) or _SCHEME.match(url):
                address = escape.html(re.sub(r"^\s*[a-z][a-z0-9+.-]*:(//)?", "", url, flags=re.IGNORECASE))
                return text if address in text else f'{text} <span class="cvm-address">({address})</span>'
            return f'<a href="{escape.html(url)}">{text}</a>'

        def image(self, text: str, url: str, title: str | None = None) -> str:
            if not url.startswith("data:image/"):
                return f"<em>{escape.html(text)}</em>"
            return f'<img src="{escape.html(url)}" alt="{escape.html(text)}">'

        def table(self, text: str) -> str:
            return f'<div class="cvm-scroll" tabindex="0" role="group" aria-label="Table"><table>{text}</table></div>\n'

        def block_code(self, code: str, info: str | None = None) -> str:
            return f"<pre><code>{escape.html(code)}</code></pre>\n"

    return Renderer
