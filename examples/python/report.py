"""A workflow in Python: functions and commands in one graph.

Run it with `python examples/python/report.py [FOLDER]`: it counts the words of the text files in a folder, in the
folder of this file if none is named.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from stepwave.workflow import Workflow


def find(folder: Path) -> list[Path]:
    """The files that are looked at."""
    return sorted(path for path in folder.iterdir() if path.suffix in (".py", ".txt", ".md"))


def count(find: list[Path]) -> dict[str, int]:
    """Gets what the step `find` has brought, because its parameter has that name."""
    return {path.name: len(path.read_text().split()) for path in find}


async def weather() -> str:
    """A coroutine is awaited; when its time is up it is cancelled."""
    await asyncio.sleep(0.01)
    return "fine"


def flaky(tries: list[int] = []) -> str:  # noqa: B006 - it remembers how often it was called
    tries.append(len(tries))
    if len(tries) < 2:
        raise ConnectionError("nobody answers")
    return f"answered at attempt {len(tries)}"


def tell(count: dict[str, int], date: str, weather: str, flaky: str) -> str:
    words = ", ".join(f"{name}: {number} words" for name, number in count.items())
    return f"{date}, the weather is {weather} ({flaky}); {words}"


def main() -> int:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    with tempfile.TemporaryDirectory() as kept:
        report = (
            Workflow("report", folder=kept, resources={"network": 1})
            .step("find", find, params={"folder": folder.resolve()})
            .step("count", count, needs="find")
            .step("date", ["date", "+%Y"])
            .step("weather", weather, resource="network", timeout=5)
            .step("flaky", flaky, resource="network", retries=2, retry_delay=0.01)
            .step("tell", tell, needs=["count", "date", "weather", "flaky"])
            .step("lines", shell="echo {{steps.tell.output}} | tr ';' '\\n' | wc -l", needs="tell")
        )
        result = report.run().check()
    print(result.results["tell"])
    print(result.results["lines"], "lines,", len(result.summary.steps), "steps")
    return 0


if __name__ == "__main__":
    sys.exit(main())
