"""The truth about who calls whom: programs are run, and every call is seen by `sys.setprofile`.

Run as a script it takes the folders of programs (each with a `main.py`) as arguments, runs one after the other and
writes JSON: folder -> list of [caller, callee]. The caller of a function is the nearest frame of the program below it,
so that a function which `map`, `sorted` or `asyncio` calls is called by whoever has called these. What a comprehension
calls, its scope calls. A generator or coroutine is called when it first runs; resuming it is no call.
"""

import inspect
import json
import os
import sys
import threading
from types import CodeType, FrameType
from typing import Any

Edges = set[tuple[str, str]]
NESTED = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")


def module_name(root: str, file: str) -> str:
    stem = os.path.relpath(file, root).removesuffix(".py").replace(os.sep, ".")
    return stem.removesuffix(".__init__")


def key_of(code: CodeType) -> Any:
    return code.co_filename, code.co_name, tuple(code.co_positions())


def named(code: CodeType, name: str, names: dict[Any, str], lambdas: list[int]) -> None:
    """The names of all code that a scope holds, with its lambdas numbered."""
    names[key_of(code)] = name
    for inner in code.co_consts:
        if not isinstance(inner, CodeType):
            continue
        if inner.co_name in NESTED:
            named(inner, name, names, lambdas)
        elif inner.co_name == "<lambda>":
            lambdas[0] += 1
            named(inner, f"{name}.<lambda{lambdas[0]}>", names, [0])
        else:
            named(inner, f"{name}.{inner.co_name}", names, [0])


class Observer:
    """Watches one program."""

    def __init__(self, root: str) -> None:
        self.root = root + os.sep
        self.names: dict[Any, str] = {}
        self.edges: Edges = set()
        self.lines: set[tuple[str, int]] = set()

    def name(self, code: CodeType) -> str | None:
        if not code.co_filename.startswith(self.root):
            return None
        key = key_of(code)
        if key not in self.names:
            with open(code.co_filename, "rb") as file:  # noqa: PTH123
                whole = compile(file.read(), code.co_filename, "exec", dont_inherit=True)
            named(whole, module_name(self.root, code.co_filename), self.names, [0])
        return self.names.get(key)

    def caller(self, frame: FrameType | None) -> str | None:
        while frame is not None:
            if (name := self.name(frame.f_code)) is not None:
                return name
            frame = frame.f_back
        return None

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        if event == "c_call":
            owner = self.name(frame.f_code)
            if owner is not None and (callee := builtin_name(arg)):
                self.edges.add((owner, f"<builtin>.{callee}"))
        elif event == "call":
            code = frame.f_code
            if code.co_name in NESTED or not code.co_flags & inspect.CO_OPTIMIZED or resumed(frame):
                return
            callee = self.name(code)
            caller = self.caller(frame.f_back) if callee else None
            if callee and caller:
                self.edges.add((caller, callee))


def resumed(frame: FrameType) -> bool:
    """Whether a generator or coroutine goes on instead of being made."""
    code = frame.f_code
    if not code.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
        return False
    import dis

    begin = next((i.offset for i in dis.get_instructions(code) if i.opname == "RESUME"), 0)
    return frame.f_lasti > begin


def builtin_name(function: Any) -> str | None:
    """`print`, `list.append`; nothing for what is a dunder or belongs to another module."""
    owner = getattr(function, "__self__", None)
    name = getattr(function, "__qualname__", "")
    if name.rpartition(".")[2].startswith("__"):
        return None
    if getattr(function, "__module__", None) == "builtins":
        return str(name)
    for base in type(owner).__mro__ if owner is not None else ():
        if base in (list, dict, set, str):
            return f"{base.__name__}.{name.rpartition('.')[2]}"
    return None


def observe(root: str) -> Edges:
    """Run `main.py` of a folder; the calls between its functions, and those of built-in functions."""
    observer = Observer(root)
    main = f"{root}/main.py"
    with open(main, "rb") as file:  # noqa: PTH123
        code = compile(file.read(), main, "exec", dont_inherit=True)
    before = set(sys.modules)
    sys.path.insert(0, root)
    space = {"__name__": "__main__", "__file__": main, "__builtins__": __builtins__}
    old = sys.modules["__main__"]
    module = sys.modules["__main__"] = type(sys)("__main__")
    module.__dict__.update(space)
    threading.setprofile(observer)
    sys.setprofile(observer)
    try:
        exec(code, module.__dict__)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
        sys.modules["__main__"] = old
        sys.path.remove(root)
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(observer.root):
                del sys.modules[name]
    return observer.edges


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    out, sys.stdout = sys.stdout, open(os.devnull, "w")  # noqa: SIM115, PTH123
    json.dump({root: sorted(observe(root)) for root in sys.argv[1:]}, out)
