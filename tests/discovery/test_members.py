"""Whose method is called: what is declared, made, returned, iterated over or inherited; and what nobody can know."""

from pathlib import Path

import pytest

from tests.discovery.marked import check

PROGRAMS = {
    "self, an annotation, a constructor, a return, with": """
        # m.py
        class A:
            def «definition:run»(self): self.«call:run»()
            def __enter__(self): return self
        class B:
            def run(self): self.run()
        def f(p: A, q: "A | None", r: B, s, *t):
            p.«call:run»(), q.«call:run»(), r.run(), s.«~call:run»(), t[0].«~call:run»()
        def make() -> A: ...
        def give(): return A()
        make().«call:run»()
        give().«read:run»
        x = A()
        x.«call:run»()
        with A() as y: y.«call:run»()
        if isinstance(z, A): z.«call:run»()
        else: z.«~call:run»()
        """,
    "inheritance, super, what is overridden": """
        # m.py
        class A:
            def «definition:run»(self): pass
        class B(A):
            def go(self): self.«call:run»(), super().«call:run»()
        class C(A):
            def run(self): super().«call:run»(), self.run()
        B().«call:run»(), C().run(), B.«call:run»(x), A.«read:run»
        class D(C, B): pass
        D().run()
        """,
    "attributes that methods assign": """
        # m.py
        class A:
            def __init__(self):
                self.«definition:run» = 1
                self.«write:run» = 2
            def f(self):
                self.«write:run» += 1
                del self.«del:run»
                return self.«read:run»
        class B:
            def __init__(self, a: A): self.a = a; self.b = A()
            def f(self): return self.a.«read:run», self.b.«read:run», self.c.«~read:run»
        A().«write:run» = 3
        """,
    "class attributes and fields": """
        # m.py
        from typing import NamedTuple
        class A(NamedTuple):
            «definition:run»: int = 1
        A.«read:run», A(«keyword:run»=2).«read:run»
        def f(a: A):
            match a:
                case A(«keyword:run»=3): pass
        """,
    "iteration and containers": """
        # m.py
        from typing import Iterator
        class A:
            def «definition:run»(self): pass
        def f(a: list[A], b: dict[str, A], c: Iterator[A], d: tuple[int, A]):
            for x in a: x.«call:run»()
            for k, v in b.items(): v.«call:run»(), k.run()
            [y.«call:run»() for y in c]
            d[1].«call:run»(), a[0].«call:run»(), b["k"].«call:run»()
            n, z = d
            z.«call:run»(), n.run()
            for i, w in enumerate(a): w.«call:run»()
            sorted(a)[0].«call:run»(), next(c).«call:run»(), b.get(1).«call:run»()
        """,
    "properties, class methods, chains, copies of oneself": """
        # m.py
        from functools import cached_property
        class A:
            def «definition:run»(self): return self
            @property
            def me(self): return self
            @cached_property
            def other(self) -> "A": ...
            @classmethod
            def make(cls): return cls()
            @staticmethod
            def build(): return A()
        class B(A): pass
        A().me.other.«call:run»().«call:run»()
        A.make().«call:run»(), A.build().«call:run»(), B().me.«call:run»()
        """,
    "context managers and generators": """
        # m.py
        from contextlib import contextmanager
        class A:
            def «definition:run»(self): pass
        @contextmanager
        def opened(): yield A()
        def several(): yield A()
        with opened() as a: a.«call:run»()
        for b in several(): b.«call:run»()
        async def later() -> A: ...
        async def f(): (await later()).«call:run»()
        """,
    "across files": """
        # base.py
        class Base:
            def «definition:run»(self): pass
        # sub.py
        from base import Base
        class Sub(Base): pass
        def make() -> Sub: ...
        # use.py
        import sub
        from sub import make as create
        sub.Sub().«call:run»(), create().«call:run»(), sub.make().«call:run»()
        """,
    "a parameter whose type a base class declares": """
        # m.py
        class A:
            def «definition:run»(self): pass
        class P:
            def f(self, a: A): pass
        class Q(P):
            def f(self, a): a.«call:run»()
        """,
    "builtins and other packages are something else": """
        # m.py
        import os
        class A:
            def «definition:join»(self): pass
        os.path.join("a"), ",".join([]), os.sep.join("b")
        """,
}
ASKED = {
    "self, an annotation, a constructor, a return, with": "A.run",
    "inheritance, super, what is overridden": "A.run",
    "builtins and other packages are something else": "A.join",
}


@pytest.mark.parametrize("what", PROGRAMS)
def test_members(what: str, tmp_path: Path) -> None:
    check(tmp_path, ASKED.get(what, "run"), PROGRAMS[what])


def test_an_inherited_method_may_be_asked_for_by_the_class_below(tmp_path: Path) -> None:
    usage = check(
        tmp_path,
        "Sub.run",
        """
        # m.py
        class Base:
            def «definition:run»(self): pass
        class Sub(Base): pass
        Sub().«call:run»()
        """,
    )
    assert [target.symbol for target in usage.targets] == ["m.Base.run"]


def test_what_no_file_defines_is_found_where_it_is_used(tmp_path: Path) -> None:
    usage = check(
        tmp_path,
        "join",
        """
        # m.py
        import os.path as p
        from os.path import «import:join» as «import_alias:j»
        p.«call:join»(«call:j»("a"))
        """,
    )
    assert [(target.symbol, target.what) for target in usage.targets] == [("os.path.join", "external")]


def test_a_builtin(tmp_path: Path) -> None:
    check(tmp_path, "print", "# m.py\n«call:print»(1)\ndef f(print): print(2)\n")


def test_a_parameter_when_nothing_else_is_called_so(tmp_path: Path) -> None:
    check(
        tmp_path,
        "size",
        """
        # m.py
        def f(«definition:size»): return «read:size»
        def g(): f(«keyword:size»=1)
        """,
    )


def test_a_module(tmp_path: Path) -> None:
    check(
        tmp_path,
        "pkg.tools",
        """
        # pkg/__init__.py
        # pkg/tools.py
        def f(): pass
        # use.py
        from pkg import «import:tools»
        import pkg.«import:tools»
        from pkg.«import:tools» import f
        pkg.«read:tools».f(), «read:tools».f()
        """,
    )
