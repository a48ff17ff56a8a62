"""What the standard library does with the functions and classes that it is given, where a program's calls hang on it.

Everything else outside of the tree is a leaf of the graph. A callable that is handed to a leaf is a possible call: it
is told as unresolved, not drawn.
"""

from collections.abc import Callable
from typing import Any

from stepwave.discovery.calls.builtin_calls import BuiltinCalls, text_of
from stepwave.discovery.calls.core import Place, unknown
from stepwave.discovery.calls.heap import Frame
from stepwave.discovery.calls.natives import argument
from stepwave.discovery.calls.operators import key_of
from stepwave.discovery.calls.values import (
    EMPTY,
    NONE,
    REST,
    UNKNOWN,
    Args,
    Bound,
    Builtin,
    Class,
    Container,
    External,
    Function,
    Generator,
    Instance,
    Known,
    Native,
    Partial,
    Task,
    Value,
    Wrapped,
    in_order,
    join,
    join_all,
    known,
    made,
    one,
)

Model = Callable[["Library", Args, Frame, Place], Value]


def partial(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    return one(Partial(argument(args, 0), args._replace(positional=args.positional[1:])))


def partialmethod(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    return one(Wrapped("partialmethod", partial(m, args, frame, site)))


def same(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    """Gives back its first argument: a decorator that leaves the function as callable as it was."""
    return argument(args, 0) or one(Native("any.first", None))


def second(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    return argument(args, 1)


def decorator(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    """`@lru_cache` and `@lru_cache(maxsize=8)`."""
    given = argument(args, 0)
    if any(isinstance(atom, Function | Bound | Class | Wrapped) for atom in given):
        return given
    return one(Native("any.first", None))


def wraps(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    return one(Native("any.wrapper", argument(args, 0)))


def update_wrapper(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    wrapper, wrapped = argument(args, 0), argument(args, 1, "wrapped")
    for atom in in_order(wrapper):
        if isinstance(atom, Function | Instance):
            m.add(atom.cells, "__wrapped__", wrapped)
    return wrapper


def cached_property(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    return one(Wrapped("cached_property", argument(args, 0)))


def property_(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    return m.do_property(args, frame, site)


def reduce(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    elements = m.iterate(argument(args, 1), frame, site)
    start = argument(args, 2) or elements
    first = m.call(argument(args, 0), Args((start, elements)), frame, site, "callback")
    return join(first, m.call(argument(args, 0), Args((first, elements)), frame, site, "callback"))


def cmp_to_key(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    return one(Partial(argument(args, 0), Args((UNKNOWN,))))


def singledispatch(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    table = Container("dict", {"default": argument(args, 0)})
    return one(Task("dispatch", one(table)))


def contextmanager(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    return one(Wrapped("context", argument(args, 0)))


def closing(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    return one(Task("closing", argument(args, 0)))


def nullcontext(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    return one(Task("held", argument(args, 0) or NONE))


def stack(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    return one(Task("stack", EMPTY))


def thread(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    target = argument(args, 1, "target")
    inner = m.items(argument(args, 3, "args"))
    elements = () if not argument(args, 3, "args") else (m.iterate(argument(args, 3, "args"), frame, site),)
    words = m.named_in(argument(args, 4, "kwargs"))
    given = Args(tuple(inner), words) if inner is not None else Args(elements, words)
    return one(Task("thread", one(Partial(target, given))))


def timer(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    inner = m.items(argument(args, 2, "args")) or []
    return one(Task("thread", one(Partial(argument(args, 1, "function"), Args(tuple(inner))))))


def executor(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    if initializer := argument(args, 9, "initializer"):
        m.call(initializer, Args(), frame, site, "callback")
    return one(Task("executor", EMPTY))


def calls_first(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    rest = args._replace(positional=args.positional[1:])
    m.call(argument(args, 0), rest, frame, site, "callback")
    return argument(args, 0)


def calls_second(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    m.call(argument(args, 1), Args((UNKNOWN, UNKNOWN)), frame, site, "callback")
    return UNKNOWN


def in_thread(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    rest = args._replace(positional=args.positional[1:])
    return one(Task("future", m.call(argument(args, 0), rest, frame, site, "callback")))


def in_executor(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    rest = args._replace(positional=args.positional[2:])
    return one(Task("future", m.call(argument(args, 1), rest, frame, site, "callback")))


def substitute(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    """`re.sub` with a function for the replacement."""
    if any(isinstance(atom, Function | Bound | Partial) for atom in argument(args, 1, "repl")):
        m.call(argument(args, 1, "repl"), Args((one(External("re.Match", True)),)), frame, site, "callback")
    return made("str")


def substitute_in(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    return substitute(m, args._replace(positional=(UNKNOWN, *args.positional)), frame, site)


def run_coroutine(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    return m.wait_for(argument(args, 0), frame, site)


def task(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    return one(Task("future", m.wait_for(argument(args, 0), frame, site)))


def gather(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    results = [m.wait_for(value, frame, site) for value in args.positional]
    if args.more:
        results.append(m.wait_for(args.more, frame, site))
    return one(Task("future", m.container("list", results)))


def import_module(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    name = text_of(argument(args, 0))
    if not name:
        return unknown("a module of a computed name")
    if name.startswith("."):
        package = text_of(argument(args, 1, "package")) or frame.module.name
        name = f"{package}{name}"
    return m.find(name, frame.module.path)


def defaultdict(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    container = Container("dict", {})
    container.default = argument(args, 0) - NONE
    if len(args.positional) > 1:
        m.dict_update(container, args._replace(positional=args.positional[1:]), frame, site)
    return one(container)


def a_dict(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    return m.do_dict(args, frame, site)


def a_list(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    return m.do_list(args, frame, site)


def namedtuple(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    names = argument(args, 1, "field_names")
    listed = text_of(names)
    if listed is not None:
        fields: list[str | None] = [*listed.replace(",", " ").split()]
    else:
        fields = [text_of(item) for item in m.items(names) or ()]
    of = Class(f"{frame.module.name}.{text_of(argument(args, 0)) or 'tuple'}", None)
    of.tags.add("fields")
    of.fields = [field for field in fields if field]
    of.bases = (Builtin("tuple"),)
    of.order = (of, Builtin("tuple"))
    return one(of)


def dataclass(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    given = argument(args, 0)
    for atom in in_order(given):
        if isinstance(atom, Class):
            atom.tags.add("fields")
    return given if given else one(External("dataclasses.dataclass"))


def field(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    if factory := argument(args, 9, "default_factory"):
        return one(Task("factory", factory))
    return argument(args, 0, "default") or UNKNOWN


def simple_namespace(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    instance = Instance(Class("types.SimpleNamespace", None))
    instance.cells.update(args.named)
    return one(instance)


def method_type(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    return frozenset(
        Bound(f, receiver) if isinstance(f, Function) else f
        for f in argument(args, 0)
        for receiver in argument(args, 1)
    )


def attrgetter(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    return one(Task("attrgetter", argument(args, 0)))


def itemgetter(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    return one(Task("itemgetter", argument(args, 0)))


def methodcaller(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    rest = args._replace(positional=args.positional[1:])
    return one(Task("methodcaller", one(Partial(argument(args, 0), rest))))


def chain(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    return m.rest("iterator", join_all(m.iterate(value, frame, site) for value in args.positional))


def first_iterated(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    return m.rest("iterator", m.iterate(argument(args, 0), frame, site))


def second_iterated(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    elements = m.iterate(argument(args, 1), frame, site)
    m.call(argument(args, 0), Args((elements,)), frame, site, "callback")
    return m.rest("iterator", elements)


def starmap(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    row = m.iterate(argument(args, 1), frame, site)
    given = Args(tuple(m.items(row) or ()), more=m.iterate(row, frame, site) if m.items(row) is None else None)
    return m.rest("iterator", m.call(argument(args, 0), given, frame, site, "callback"))


def copied(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
    result = EMPTY
    for atom in in_order(argument(args, 0)):
        for name in ("__copy__", "__deepcopy__"):
            if isinstance(atom, Instance) and (found := m.lookup(atom.of, name)) and site != (0, 0):
                given = Args() if name == "__copy__" else Args((UNKNOWN,))
                result = join(result, m.call(m.bind(found[1], atom, frame, site), given, frame, site, "dunder"))
        result = join(result, m.copied(atom) if isinstance(atom, Container) else one(atom))
    return result


def operator_of(name: str) -> Model:
    def model(m: "Library", args: Args, frame: Frame, site: Place) -> Value:
        return m.binary(name, argument(args, 0), argument(args, 1), frame, site)

    return model


MODELS: dict[str, Model] = {
    "functools.partial": partial, "functools.partialmethod": partialmethod, "functools.wraps": wraps,
    "functools.update_wrapper": update_wrapper, "functools.lru_cache": decorator, "functools.cache": same,
    "functools.reduce": reduce, "functools.cmp_to_key": cmp_to_key, "functools.cached_property": cached_property,
    "functools.singledispatch": singledispatch, "functools.total_ordering": same,
    "contextlib.contextmanager": contextmanager, "contextlib.asynccontextmanager": contextmanager,
    "contextlib.closing": closing, "contextlib.nullcontext": nullcontext,
    "contextlib.ExitStack": stack, "contextlib.AsyncExitStack": stack,
    "threading.Thread": thread, "multiprocessing.Process": thread, "threading.Timer": timer,
    "concurrent.futures.ThreadPoolExecutor": executor, "concurrent.futures.ProcessPoolExecutor": executor,
    "concurrent.futures.thread.ThreadPoolExecutor": executor, "multiprocessing.Pool": executor,
    "multiprocessing.pool.ThreadPool": executor, "multiprocessing.pool.Pool": executor,
    "atexit.register": calls_first, "signal.signal": calls_second, "re.sub": substitute, "re.subn": substitute,
    "re.compile.sub": substitute_in, "re.compile.subn": substitute_in,
    "asyncio.run": run_coroutine, "asyncio.create_task": task, "asyncio.ensure_future": task,
    "asyncio.gather": gather, "asyncio.wait_for": task, "asyncio.shield": task, "asyncio.to_thread": in_thread,
    "asyncio.get_event_loop.run_until_complete": run_coroutine,
    "asyncio.new_event_loop.run_until_complete": run_coroutine,
    "asyncio.get_running_loop.run_in_executor": in_executor, "asyncio.get_event_loop.run_in_executor": in_executor,
    "asyncio.TaskGroup.create_task": task, "contextvars.copy_context.run": calls_first,
    "importlib.import_module": import_module, "abc.abstractmethod": same, "abc.abstractproperty": property_,
    "typing.overload": same, "typing.final": same, "typing.override": same, "typing.runtime_checkable": same,
    "typing.no_type_check": same, "typing_extensions.override": same, "typing.cast": second, "enum.unique": same,
    "typing_extensions.deprecated": decorator, "warnings.deprecated": decorator,
    "collections.defaultdict": defaultdict, "collections.OrderedDict": a_dict, "collections.deque": a_list,
    "collections.namedtuple": namedtuple, "dataclasses.dataclass": dataclass, "dataclasses.field": field,
    "types.SimpleNamespace": simple_namespace, "types.MethodType": method_type, "types.coroutine": same,
    "types.MappingProxyType": same, "weakref.ref": same, "weakref.proxy": same,
    "operator.attrgetter": attrgetter, "operator.itemgetter": itemgetter, "operator.methodcaller": methodcaller,
    "operator.call": calls_first, "itertools.chain": chain, "itertools.chain.from_iterable": first_iterated,
    "itertools.cycle": first_iterated, "itertools.islice": first_iterated, "itertools.takewhile": second_iterated,
    "itertools.dropwhile": second_iterated, "itertools.filterfalse": second_iterated, "itertools.starmap": starmap,
    "copy.copy": copied, "copy.deepcopy": copied, "pytest.fixture": decorator, "unittest.skip": decorator,
    **{f"operator.{name}": operator_of(name) for name in ("add", "sub", "mul", "truediv", "mod", "matmul")},
    **{f"operator.i{name}": operator_of(name) for name in ("add", "sub", "mul")},
}  # fmt: skip


class Library(BuiltinCalls):
    """Calls of what lies outside of the tree, and methods of what the library has made."""

    def call_external(self, atom: External, args: Args, frame: Frame, site: Place, kind: str) -> Value:
        self.edge(frame, atom.name, site, kind)
        if model := MODELS.get(atom.name):
            return model(self, args, frame, site)
        self.callbacks(args, frame, site)
        for value in (*args.positional, *(value for _, value in args.named)):
            if any(isinstance(part, Function | Bound | Partial) for part in value):
                self.miss(frame, atom.name, site, "given a function that it may call")
        return one(External(atom.name, made=True))

    def named_in(self, value: Value) -> tuple[tuple[str, Value], ...]:
        """The entries of a dict as keyword arguments."""
        pairs = []
        for atom in in_order(value):
            if isinstance(atom, Container) and atom.kind == "dict":
                pairs += [
                    (key, item) for key, item in atom.slots.items() if isinstance(key, str) and not key.startswith("*")
                ]
        return tuple(pairs)

    def call_task(self, atom: Task, args: Args, frame: Frame, site: Place) -> Value:
        given = argument(args, 0)
        match atom.kind:
            case "attrgetter":
                return self.do_getattr(Args((given, atom.value)), frame, site)
            case "itemgetter":
                return self.subscript(given, atom.value, frame, site)
            case "methodcaller":
                (inner,) = atom.value
                method = self.do_getattr(Args((given, inner.function)), frame, site)
                return self.call(method, inner.args, frame, site, "callback")
            case "dispatch":
                (table,) = atom.value
                return self.dispatched(table, args, frame, site)
        return unknown("result of what the library has made")

    def dispatched(self, table: Container, args: Args, frame: Frame, site: Place) -> Value:
        """`functools.singledispatch`: the function that is registered for the class of the first argument."""
        chosen = EMPTY
        for atom in in_order(argument(args, 0)):
            types = self.type_of(atom)
            for of in in_order(types):
                order = of.order if isinstance(of, Class) else (of,)
                chosen = join(chosen, next((table.slots[c] for c in order if c in table.slots), table.slots["default"]))
        return self.call(chosen or join_all(table.slots.values()), args, frame, site)

    def dispatch_register(self, receiver: Task, args: Args, frame: Frame, site: Place) -> Value:
        (table,) = receiver.value
        key = key_of(argument(args, 0))
        if isinstance(key, Function):
            names = dict(key.code.facts[5][5])
            first = next(iter(names.values()), ())
            for of in self.hinted(first, key.code.module) or frozenset(Builtin(name) for name in first):
                self.store(table.slots, of.of if isinstance(of, Instance) else of, argument(args, 0))
            return argument(args, 0)
        if argument(args, 1):
            self.store(table.slots, key, argument(args, 1))
            return argument(args, 1)
        return one(Partial(one(Native("dispatch.register", receiver)), Args((argument(args, 0),))))

    def thread_start(self, receiver: Task, args: Args, frame: Frame, site: Place) -> Value:
        self.call(receiver.value, Args(), frame, site, "callback")
        return NONE

    def stack_enter_context(self, receiver: Task, args: Args, frame: Frame, site: Place) -> Value:
        found, leave = self.enter_context(argument(args, 0), frame, site, "")
        leave()
        return found

    def stack_callback(self, receiver: Task, args: Args, frame: Frame, site: Place) -> Value:
        return calls_first(self, args, frame, site)

    def any_wrapper(self, receiver: Value, args: Args, frame: Frame, site: Place) -> Value:
        return update_wrapper(self, Args((argument(args, 0), receiver)), frame, site)

    def any_first(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        return argument(args, 0)

    def enter_context(self, value: Value, frame: Frame, site: Place, kind: str) -> tuple[Value, Callable[[], None]]:
        raise NotImplementedError


def library_natives(m: Library) -> None:
    """The methods of what the library makes, under the names by which they are looked up."""
    m.natives |= {
        "dispatch.register": m.dispatch_register, "thread.start": m.thread_start, "thread.run": m.thread_start,
        "stack.enter_context": m.stack_enter_context, "stack.callback": m.stack_callback,
        "stack.push": m.stack_callback, "any.first": m.any_first, "any.wrapper": m.any_wrapper,
    }  # fmt: skip


__all__ = ["REST", "Generator", "Known", "Library", "known", "library_natives"]
