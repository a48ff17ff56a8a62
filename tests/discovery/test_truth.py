"""How near the whole corpus of marked programs comes to the truth; with some that are harder than the rules promise."""

from pathlib import Path

from tests.discovery import test_members, test_names
from tests.discovery.marked import Score, score

HARD = {
    "a type variable, and what a generic class gives": """
        # m.py
        from typing import Any, Generic, Protocol, TypeVar
        class A:
            def «definition:run»(self): pass
        T = TypeVar("T", bound="A")
        class Held(Generic[T]):
            def __getattr__(self, name: str) -> T: ...
            def __getitem__(self, key: str) -> T: ...
        class Closing(Protocol):
            def close(self): ...
        class B(A, Closing): pass
        def f(held: "Held[Any]", b: B, c: Held[A]):
            held.any.«call:run»(), held["k"].«call:run»(), b.«call:run»(), b.close(), c.some.«call:run»()
        """,
    "a name that is bound again and again": """
        # m.py
        class A:
            def «definition:run»(self): return self
            def next(self) -> "A": ...
        def f(a=None):
            b = A()
            b = b.next()
            while b:
                b = b.next()
                c = b
                b.«call:run»(), c.«call:run»()
            return b.«call:run»()
        """,
    "a dataclass, an enum, slots": """
        # m.py
        from dataclasses import dataclass, field
        from enum import Enum
        class Color(Enum):
            «definition:red» = 1
            blue = 2
            def warm(self): return self is Color.«read:red»
        @dataclass
        class Paint:
            color: Color = Color.«read:red»
            others: list[Color] = field(default_factory=lambda: [Color.«read:red»])
        Paint(color=Color.«read:red»).color.red2
        Color["red"]
        """,
    "walrus, comprehensions of methods, lambdas": """
        # m.py
        class A:
            def «definition:run»(self): return 1
        def every() -> list[A]: ...
        if (first := every()[0]): first.«call:run»()
        print([a.«call:run»() for a in every() if a.«read:run»], {a.«call:run»(): 1 for a in every()})
        key = lambda a=A(): a.«call:run»()
        while (more := A()).«call:run»(): pass
        """,
    "a package that gives names of its submodules, lazily and by star": """
        # pkg/__init__.py
        from .one import *
        from .two import Two as «import_alias:Second»
        # pkg/one.py
        __all__ = ["One"]
        class One: pass
        # pkg/two.py
        class «definition:Two»: pass
        # use.py
        import pkg as p
        from pkg import One, «import:Second»
        class C(One, p.«base_class:Second»): pass
        def f(x: "p.«string_annotation:Second»") -> list["«string_annotation:Second»"]: return [«call:Second»()]
        """.replace("import Two as", "import «import:Two» as"),
    "a method by way of an attribute of an attribute": """
        # a.py
        class Engine:
            def «definition:start»(self): pass
        class Car:
            engine: Engine
            def __init__(self): self.engine = Engine()
        # b.py
        from a import Car
        class Fleet:
            def __init__(self, cars: list[Car]):
                self.cars = cars
                self.by_name = {car.name: car for car in cars}
            def go(self):
                for car in self.cars: car.engine.«call:start»()
                self.cars[0].engine.«call:start»()
                self.by_name["x"].engine.«call:start»()
                first, *rest = self.cars
                first.engine.«call:start»()
        """,
    "decorated functions and classes keep their names": """
        # m.py
        import functools
        def deco(f):
            @functools.wraps(f)
            def inner(*a): return f(*a)
            return inner
        @deco
        def «definition:work»(): pass
        «call:work»()
        class C:
            @deco
            def work(self): pass
            other = staticmethod(work)
        C().work()
        """,
    "async: for, with, await, gathered": """
        # m.py
        class A:
            async def «definition:go»(self): pass
            async def __aenter__(self): return self
            async def __aexit__(self, *e): pass
            def __aiter__(self): return self
            async def __anext__(self) -> "A": ...
        async def make() -> A: ...
        async def f():
            a = await make()
            await a.«call:go»()
            async with A() as b: await b.«call:go»()
            async for c in A(): await c.«call:go»()
        """,
    "a comparison that is more than true or false": """
        # m.py
        class A:
            def __eq__(self, other) -> "B": ...
        class B:
            def «definition:run»(self): pass
            def __lt__(self, other): return 1
        (A() == 1).«call:run»(), (A() != 1).run(), (B() == 1).run(), (B() < B()).run()
        """,
    "try and if choose an implementation": """
        # m.py
        import sys
        if sys.version_info > (3,):
            def «definition:pick»(): pass
        else:
            def «definition:pick»(): pass
        try:
            from fast import thing
        except ImportError:
            thing = «read:pick»
        «call:pick»()
        """,
    "fields of a tuple with names, and its copies": """
        # m.py
        from typing import NamedTuple
        class P(NamedTuple):
            «definition:x»: int
            y: int
            def both(self): return self.«read:x» + self.y
        p = P(«keyword:x»=1, y=2)
        p._replace(y=1).«read:x»
        def f(ps: tuple[P, ...]): return [q.«read:x» for q in ps], max(ps).«read:x»
        """,
}
ASKED = {
    "a type variable, and what a generic class gives": "A.run",
    "a name that is bound again and again": "A.run",
    "a dataclass, an enum, slots": "Color.red",
    "walrus, comprehensions of methods, lambdas": "A.run",
    "a package that gives names of its submodules, lazily and by star": "pkg.two.Two",
    "a method by way of an attribute of an attribute": "Engine.start",
    "decorated functions and classes keep their names": "m.work",
    "async: for, with, await, gathered": "A.go",
    "a comparison that is more than true or false": "B.run",
    "try and if choose an implementation": "m.pick",
    "fields of a tuple with names, and its copies": "P.x",
}


def test_the_corpus_as_a_whole(tmp_path: Path) -> None:
    """The figures that docs/discovery.md tells: `pytest -s tests/discovery/test_truth.py` prints them."""
    programs = {**test_names.PROGRAMS, **test_members.PROGRAMS, **HARD}
    asked = {**test_names.ASKED, **test_members.ASKED, **ASKED}
    scores = []
    for number, (what, text) in enumerate(programs.items()):
        word = "run" if what in test_members.PROGRAMS else "x"
        each = score(tmp_path / str(number), asked.get(what, word), text)
        if len(set(each)) > 1:
            print(f"{what}: {each}")  # noqa: T201
        scores.append(each)
    whole = Score(*map(sum, zip(*scores, strict=True)))
    kinds = whole.kinds / whole.right
    figures = f"precision {whole.precision:.4f}, recall {whole.recall:.4f}, kinds right {kinds:.4f}"
    print(f"{len(programs)} programs, {whole.marked} places: {figures}")  # noqa: T201 - whoever asks for it, reads it
    assert whole.precision >= 0.995
    assert whole.recall >= 0.99
    assert kinds >= 0.99
