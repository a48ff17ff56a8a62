"""Runs `main.py` of a folder and writes as JSON which calls between functions of the folder a profiler has seen.

A call is `explicit` when the text at the calling place names the function, `constructor` when it names its class,
else what the language or the library has made of it: `property`, `dunder`, `callback`. A generator is seen when it
first runs, not when it is called: `generator` where the calling place does not name it: its caller is not known.
"""

import dis
import json
import os
import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

GENERATORS = 0x20 | 0x80 | 0x200
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "discovery" / "calls"))

from observe import NESTED, Observer, resumed  # noqa: E402


class Sorted(Observer):
    """Sorts calls by kind, and keeps the lines that were run."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.kinds: dict[tuple[str, str], str] = {}

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        code = frame.f_code
        if event != "call" or code.co_name in NESTED or not code.co_flags & 1 or resumed(frame):
            return
        callee = self.name(code)
        caller = self.caller(frame.f_back) if callee else None
        if callee and caller and frame.f_back is not None:
            kind = self.kind(frame.f_back, code)
            if self.kinds.get((caller, callee)) != "explicit":
                self.kinds[caller, callee] = kind

    def kind(self, below: FrameType, code: CodeType) -> str:
        if self.name(below.f_code) is None:
            return "generator" if code.co_flags & GENERATORS else "callback"
        at = below.f_lasti
        while dis.opname[below.f_code.co_code[at]] == "CACHE":
            at -= 2
        line, _, column, _ = list(below.f_code.co_positions())[at // 2]
        name = dis.opname[below.f_code.co_code[at]]
        if not name.startswith(("CALL", "PRECALL", "SEND")):
            return (
                "generator"
                if code.co_flags & GENERATORS
                else "property"
                if "ATTR" in name or "METHOD" in name
                else "dunder"
            )
        if code.co_name in ("__init__", "__new__", "__post_init__"):
            return "constructor"
        if line is None or column is None:
            return "callback"
        text = "\n".join(self.text(below.f_code.co_filename)[line - 1 : line + 3])[column:]
        if f"{code.co_name}(" in text:
            return "explicit"
        return "generator" if code.co_flags & GENERATORS else "callback"

    def text(self, file: str) -> list[str]:
        if file not in texts:
            texts[file] = Path(file).read_text("utf-8").split("\n")
        return texts[file]

    def line(self, frame: FrameType, event: str, arg: Any) -> Any:
        if not frame.f_code.co_filename.startswith(self.root):
            return None
        if event == "line":
            self.lines.add((os.path.relpath(frame.f_code.co_filename, self.root), frame.f_lineno))
        return self.line


texts: dict[str, list[str]] = {}


def main(root: str) -> None:
    observer = Sorted(root)
    out, sys.stdout = sys.stdout, open(os.devnull, "w")  # noqa: SIM115, PTH123
    for name in os.listdir(root):  # noqa: PTH208
        for loaded in [m for m in sys.modules if m.split(".")[0] == name.removesuffix(".py")]:
            del sys.modules[loaded]
    sys.path.insert(0, root)
    file = f"{root}/main.py"
    code = compile(Path(file).read_bytes(), file, "exec")
    sys.setprofile(observer)
    sys.settrace(observer.line)
    exec(code, {"__name__": "__main__", "__file__": file})
    sys.settrace(None)
    sys.setprofile(None)
    edges = [(caller, callee, kind) for (caller, callee), kind in sorted(observer.kinds.items())]
    json.dump({"edges": edges, "lines": sorted(observer.lines)}, out)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    main(sys.argv[1])
