"""Two step types, which show the two ways: one makes a command, the other does the work itself.

Nothing but the standard library is needed. docs/plugins.md of stepwave describes the protocol.
"""

import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from string import Template
from typing import Any


class HttpCheck:
    """`type: http-check`: asks an address until it answers as expected."""

    name = "http-check"
    schema = {
        "type": "object",
        "required": ["url"],
        "additionalProperties": False,
        "properties": {
            "url": {"type": "string", "minLength": 1},
            "status": {"type": "integer", "minimum": 100, "maximum": 599},
            "attempts": {"type": "integer", "minimum": 1, "maximum": 100},
        },
    }

    def command(self, config: dict[str, Any]) -> list[str]:
        """Called when the workflow is read. A reference in `url` is still one, and filled in when the step starts."""
        status, attempts = config.get("status", 200), config.get("attempts", 1)
        return [sys.executable, "-m", "stepwave_examples", config["url"], str(status), str(attempts)]


class TextTemplate:
    """`type: template`: fills in a file with `$name` in it. The result of the step says what was written."""

    name = "template"
    schema = {
        "type": "object",
        "required": ["from", "to"],
        "additionalProperties": False,
        "properties": {
            "from": {"type": "string"},
            "to": {"type": "string"},
            "values": {"type": "object"},
        },
    }

    def run(self, config: dict[str, Any]) -> dict[str, Any]:
        """Called in a process of its own, in the step's folder, with every reference filled in."""
        text = Template(Path(config["from"]).read_text("utf-8")).substitute(config.get("values", {}))
        Path(config["to"]).write_text(text, "utf-8")
        print(f"wrote {config['to']}")
        return {"file": config["to"], "characters": len(text)}


http_check = HttpCheck()
template = TextTemplate()


def main(url: str, status: str, attempts: str) -> int:
    """What the command of `http-check` does."""
    for attempt in range(int(attempts)):
        time.sleep(min(attempt, 5))
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                found = answer.status
        except urllib.error.HTTPError as problem:
            found = problem.code
        except OSError as problem:
            print(f"{url}: {problem}", file=sys.stderr)
            continue
        print(f"{url}: {found}")
        if found == int(status):
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
