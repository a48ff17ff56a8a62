"""Which names mean a function, class or variable: scopes, imports, re-exports, renames, strings that are types."""

import sys
from pathlib import Path

import pytest

from tests.discovery.marked import check

PROGRAMS = {
    "a call, a read, a decorator, a base": """
        # m.py
        class «definition:x»: pass
        a = «call:x»()
        b = [«read:x», other(«read:x»)]
        @«decorator:x»
        def f(): pass
        @«decorator:x»(1)
        class C(«base_class:x», G[«annotation:x»]): pass
        """,
    "annotations, also in strings": """
        # m.py
        from typing import cast, Union, Optional, Literal, TypeVar, List
        class «definition:x»: pass
        def f(a: «annotation:x», b: "List[«string_annotation:x»]" = None) -> «annotation:x» | None: ...
        def g(*c: «annotation:x»): ...
        v: dict[str, "«string_annotation:x»"] = {}
        w = cast("«string_annotation:x»", v)
        L = Literal["x"]
        U = Union[int, "«string_annotation:x»"]
        T = TypeVar("T", bound="«string_annotation:x»")
        """,
    "locals hide it, comprehensions too": """
        # m.py
        def «definition:x»(): pass
        def f(x): return x
        def g():
            x = 1
            return x
        def h(): return [x for x in y], «call:x»()
        def i(): return {x: 1 for x in [«read:x»]}
        def j(): return lambda x: x
        def k(): return lambda y: «read:x»
        def l():
            import x
            return x
        """,
    "a class body is invisible to its functions": """
        # m.py
        def «definition:x»(): pass
        class C:
            x = «call:x»()
            y = x
            def f(self): return «call:x»()
            z = [«read:x» for _ in range(1)]
        class D:
            y = «read:x»
            def x(self): return «read:x»
            z = x
        """,
    "global and nonlocal": """
        # m.py
        «definition:x» = 0
        def f():
            global «write:x»
            «write:x» = 1
            def g():
                x = 2
                def h():
                    nonlocal x
                    x = 3
                return x
            return «read:x»
        del «del:x»
        «write:x» += 1
        """,
    "walrus binds around a comprehension": """
        # m.py
        def f(a):
            return [x := i for i in a], x
        def g(): return «read:x»
        if («definition:x» := 1): pass
        print([(«write:x» := i) for i in y])
        """,
    "imports of every shape": """
        # pkg/__init__.py
        # pkg/a.py
        def «definition:x»(): pass
        # pkg/b.py
        from .a import «import:x»
        from pkg.a import «import:x» as «import_alias:y»
        import pkg.a
        import pkg.a as q
        from . import a
        from pkg import a as r
        «call:x»(), «call:y»(), pkg.a.«call:x»(), q.«call:x»(), a.«read:x», r.«read:x»
        «read:x».other()
        """,
    "re-exports, both ways, and names given on the way": """
        # pkg/__init__.py
        from .a import «import:x» as «import_alias:public»
        __all__ = ["«dunder_all:public»"]
        # pkg/a.py
        def «definition:x»(): pass
        # use.py
        from pkg import «import:public»
        import pkg
        from pkg import «import:public» as «import_alias:again»
        «call:public»(), pkg.«call:public»(), «call:again»()
        # other.py
        def public(): pass
        public()
        """,
    "star imports, with and without __all__": """
        # a.py
        def «definition:x»(): pass
        # b.py
        from a import *
        __all__ = ["«dunder_all:x»"]
        # c.py
        from b import *
        «call:x»()
        # d.py
        from e import *
        x()
        # e.py
        from a import «import:x»
        __all__ = ["other"]
        """,
    "a conditional import is one or the other": """
        # fast.py
        def «definition:x»(): pass
        # m.py
        try:
            from fast import «import:x»
        except ImportError:
            from slow import x
        «call:x»()
        # slow.py
        def x(): pass
        """,
    "only for type checking": """
        # a.py
        class «definition:x»: pass
        # m.py
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from a import «import:x»
        def f(p: "«string_annotation:x»"): pass
        """,
    "imports in functions": """
        # a.py
        def «definition:x»(): pass
        # m.py
        def f():
            from a import «import:x»
            return «call:x»()
        def g():
            import a
            return a.«call:x»()
        x = 1
        """,
    "match captures and class patterns": """
        # m.py
        class «definition:x»: pass
        def f(v):
            match v:
                case «call:x»(): pass
        def g(v):
            match v:
                case [x, *rest]: return x
        def h(v):
            match v:
                case {"a": 1, **x}: return x
                case y as x: return x
        """.replace("«call:x»()", "«read:x»()"),
    "exceptions": """
        # m.py
        class «definition:x»(Exception): pass
        def f():
            try: raise «call:x»()
            except «read:x» as e: pass
            except (ValueError, «read:x»): raise «read:x»
        def g():
            try: pass
            except OSError as x: return x
        """,
    "f-strings": '''
        # m.py
        «definition:x» = 1
        a = f"x {«read:x»} x {«read:x»!r:>{«read:x»}}"
        b = f"""
        x {«read:x»}
          {y} {«read:x»} {{x}}
        """
        ''',
    "another name by assignment": """
        # a.py
        def «definition:x»(): pass
        «alias:y» = «read:x»
        «call:y»()
        # b.py
        from a import «import:y»
        «call:y»()
        """,
    "a decorated definition, columns of wide characters": """
        # m.py
        s = "äöü😀"; «definition:x» = 1; t = "→", «read:x»
        """,
    "keywords of a call are no names": """
        # m.py
        def «definition:x»(): pass
        f(x=«read:x», y=1)
        class C(metaclass=«read:x»): pass
        """,
    "defaults and decorators stand outside": """
        # m.py
        def «definition:x»(): pass
        def f(x=«read:x»): return x
        def g(a: «annotation:x» = «call:x»()):
            x = 1
        class x2:
            @«decorator:x»
            def x(self, x=«read:x»): pass
        """,
    "src layouts and namespace packages": """
        # src/pkg/sub/a.py
        def «definition:x»(): pass
        # tests/test_a.py
        from pkg.sub.a import «import:x»
        from pkg.sub import a
        «call:x»(), a.«call:x»()
        """,
    "two modules of one name": """
        # one/util.py
        def «definition:x»(): pass
        # one/main.py
        from util import «import:x»
        # two/util.py
        def x(): pass
        # two/main.py
        from util import x
        """,
    "a submodule and a function of its name": """
        # pkg/__init__.py
        from .x import «import:x»
        # pkg/x.py
        def «definition:x»(): pass
        # use.py
        from pkg import «import:x»
        import pkg.x
        «call:x»()
        """,
}
ASKED = {
    "two modules of one name": "one.util.x",
    "a conditional import is one or the other": "fast.x",
    "re-exports, both ways, and names given on the way": "pkg.a.x",
    "star imports, with and without __all__": "a.x",
    "match captures and class patterns": "m.x",
    "locals hide it, comprehensions too": "m.x",
    "a class body is invisible to its functions": "m.x",
    "imports of every shape": "pkg.a.x",
    "imports in functions": "a.x",
    "defaults and decorators stand outside": "m.x",
    "a submodule and a function of its name": "pkg.x.x",
}


@pytest.mark.parametrize("what", PROGRAMS)
def test_what_is_marked_is_found(what: str, tmp_path: Path) -> None:
    check(tmp_path, ASKED.get(what, "x"), PROGRAMS[what])


def test_circular_imports_end(tmp_path: Path) -> None:
    text = """
    # a.py
    from b import x
    x()
    # b.py
    from a import x
    x()
    """
    usage = check(tmp_path, "x", text)
    assert not usage.targets


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax of Python 3.12")
def test_type_parameters_and_f_strings_of_today(tmp_path: Path) -> None:
    check(
        tmp_path,
        "m.x",
        """
        # m.py
        class «definition:x»: pass
        def f[T: «annotation:x»](a: T) -> «annotation:x»: ...
        class C[x]:
            y: x
            def g(self, a: x): return x
        type A[x] = list[x]
        type B = list[«annotation:x»]
        def h[x](a: x): return x
        z = f"{f"{«read:x»}"} {'x'}"
        """,
    )
