"""The page itself: markup, style, script and data in one text.

Rule 1  Data is JSON in an element that no browser executes, with `<`, `>` and `&` written as `\\u003c` …: nothing in
        it can end the element. The script makes text of it, never markup.
Rule 2  The page's own policy (Content Security Policy Level 3) allows this one script and this one style sheet, by
        their digests, and nothing else: no other script, no request to anywhere.
"""

import json
import re
from base64 import b64encode
from hashlib import sha256
from html import escape
from typing import NamedTuple

from stepwave.core.telling.looks import LOOKS
from stepwave.core.telling.page.embedded import Values

SCRIPTS = (
    "run.js",
    "state.js",
    "canvas.js",
    "summary.js",
    "timeline.js",
    "pools.js",
    "graph.js",
    "table.js",
    "panel.js",
    "main.js",
)
"""In the order in which they are put together."""


class Assets(NamedTuple):
    """The parts of the page that are files of their own; `scripts` as in SCRIPTS."""

    markup: str
    style: str
    scripts: tuple[str, ...]


def make_page(values: Values, title: str, assets: Assets) -> str:
    """One HTML document. `title` is that of the window."""
    script = '"use strict";\n(() => {\n' + _bare("\n".join(assets.scripts)) + "\n})();\n"
    style = _outcomes() + _bare(assets.style)
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )
    parts = {
        "policy": escape(policy),
        "title": escape(title),
        "style": style,
        "data": as_json(values),
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda mark: parts[mark[1]], assets.markup)


def _bare(code: str) -> str:
    """Without indentation, blank lines, and lines that are comments: a tenth of a page. No line of the files is part of
    a longer text, which a test holds."""
    lines = (line.strip() for line in code.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def as_json(values: Values) -> str:
    """For a script element: https://html.spec.whatwg.org/multipage/scripting.html#restrictions-for-contents-of-script-elements"""
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _outcomes() -> str:
    """The colours of outcomes as the style sheet calls them, in light and dark."""
    light = "".join(f"--{look.key}:{look.light};" for look in LOOKS.values())
    dark = "".join(f"--{look.key}:{look.dark};" for look in LOOKS.values())
    return (
        f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}\n"
        f"@media screen{{:root[data-theme=dark]{{{dark}}}}}\n"
    )


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
