"""What `benchmarks/call_graphs.py` runs under a profiler: pure Python modules of the standard library, in earnest.

It lies beside the copies in a folder of its own, so that they are the tree and the rest of the library is not.
"""

import argparse
import configparser
import difflib
import fractions
import html.parser
import io
import json
import pprint
import shlex
import string
import textwrap
from contextlib import redirect_stderr, redirect_stdout, suppress


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y


class Encoder(json.JSONEncoder):
    def default(self, o):
        return [o.x, o.y] if isinstance(o, Point) else super().default(o)


def use_json():
    value = {"a": [1, 2.5, None, True, {"b": "text \n é"}], "c": (1, 2), "d": {}, "e": []}
    json.loads(json.dumps(value, indent=2, sort_keys=True), object_hook=dict)
    json.dumps(Point(1, 2), cls=Encoder)
    json.dump(value, io.StringIO(), indent=1)
    json.load(io.StringIO('{"a": [1, 2, {"b": 1.5}]}'))
    list(Encoder(indent=2).iterencode({"p": Point(1, 2), "q": [Point(3, 4), {"r": 1.0}]}))
    decoder = json.JSONDecoder(object_pairs_hook=list, parse_float=str)
    decoder.decode('{"x": 1.5, "y": [true, null]}')
    with suppress(json.JSONDecodeError):
        json.loads("{bad}")
    with suppress(TypeError):
        json.dumps(object())


def use_textwrap():
    text = "The quick brown fox jumps over the lazy dog, well-behaved and unhurried as ever it was. " * 3
    textwrap.fill(text, 30)
    textwrap.shorten(text, 40)
    textwrap.dedent("    a\n      b\n")
    textwrap.indent("a\nb\n", "> ")
    textwrap.TextWrapper(width=20, max_lines=2, fix_sentence_endings=True).wrap(text)


def doubled(value):
    return int(value) * 2


def use_argparse():
    parser = argparse.ArgumentParser(prog="tool", description="a tool " * 20, epilog="the end")
    parser.add_argument("name", help="the name")
    parser.add_argument("-n", "--number", type=doubled, default=3, metavar="N")
    parser.add_argument("-v", action="count", default=0)
    parser.add_argument("--version", action="version", version="1")
    group = parser.add_argument_group("more", "more options")
    group.add_argument("--flag", action="store_true")
    group.add_argument("--list", nargs="*", choices=["a", "b"])
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--yes", action="store_const", const=1)
    either.add_argument("--no", action="append")
    parser.parse_args(["x", "-n", "4", "-vv", "--flag", "--list", "a", "b"])
    parser.format_help()
    sub = argparse.ArgumentParser()
    commands = sub.add_subparsers(dest="command", required=True, title="commands")
    add = commands.add_parser("add", help="adds", aliases=["a"])
    add.add_argument("files", nargs="+")
    add.set_defaults(run=doubled)
    sub.parse_args(["add", "f", "g"])
    sub.parse_known_args(["add", "f", "--unknown"])
    out = io.StringIO()
    for words in (["--help"], ["--version"], ["--bogus"], ["x", "--yes", "--no", "1"], ["x", "-n", "a"]):
        with suppress(SystemExit), redirect_stderr(out), redirect_stdout(out):
            parser.parse_args(words)


def use_configparser():
    text = "[DEFAULT]\nhome = /root\n[paths]\nlog = %(home)s/log\n[flags]\nyes = on\nsize = 3\n"
    config = configparser.ConfigParser(allow_no_value=True)
    config.read_string(text)
    config.get("paths", "log")
    config.getboolean("flags", "yes")
    config["flags"].getint("size")
    config["new"] = {"a": "b"}
    config.set("new", "c", "d")
    config.add_section("other")
    config.remove_section("other")
    config.remove_option("new", "a")
    config.write(io.StringIO())
    dict(config["paths"])
    list(config)
    config.items("flags")
    config.has_option("flags", "yes")
    extended = configparser.ConfigParser(interpolation=configparser.ExtendedInterpolation())
    extended.read_string("[a]\nx = 1\n[b]\ny = ${a:x}\n")
    extended["b"]["y"]
    with suppress(configparser.Error):
        config.get("paths", "missing")
    with suppress(configparser.Error):
        config.read_string("junk")
    config.get("paths" if "paths" in config else "flags", "home", raw=bool(len(config)))
    del config["new"]


def use_string():
    string.Template("$who likes ${what} $$").substitute(who="tim", what="kung pao")
    string.Template("$who $missing").safe_substitute({"who": "x"})
    with suppress(ValueError):
        string.Template("$who $").substitute(who="a")
    string.Formatter().format("{0} {name!r:>10} {a.real}", 1, name="x", a=2)
    string.capwords("some words here")


def use_difflib():
    a, b = ["one\n", "two\n", "three\n", "four\n"], ["one\n", "2\n", "three\n", "five\n", "six\n"]
    list(difflib.unified_diff(a, b, "a", "b"))
    list(difflib.context_diff(a, b))
    list(difflib.ndiff(a, b))
    difflib.get_close_matches("appel", ["ape", "apple", "peach"])
    matcher = difflib.SequenceMatcher(None, "abcd", "bcde")
    matcher.ratio(), matcher.quick_ratio(), matcher.real_quick_ratio(), list(matcher.get_grouped_opcodes())
    difflib.HtmlDiff().make_file(a, b, context=True)
    "".join(difflib.restore(difflib.ndiff(a, b), 1))


def use_fractions():
    half, third = fractions.Fraction(1, 2), fractions.Fraction("1/3")
    half + third, half * third, half - third, half / third, half**2, -half, abs(third), half < third, half == third
    half // third, half % third, 1 + half, 2 * third, round(half), int(third), hash(half), str(half), repr(half)
    fractions.Fraction.from_float(0.5).limit_denominator(10)
    fractions.Fraction(1.25), bool(half), half >= 1, half.__ceil__(), half.__floor__(), divmod(half, third)


class Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append(self.named(tag))

    def named(self, tag):
        return tag

    def handle_data(self, data):
        self.found.append(data)


def use_html():
    links = Links()
    links.feed("<!DOCTYPE html><p class='a'>text &amp; more<br/><a href=x>l</a><!-- c --><script>var a;</script></p>")
    links.close()
    html.escape("<a>")
    html.unescape("&lt;&#65;&bogus;")


def use_others():
    shlex.split("a 'b c' \"d\" # e", comments=True)
    shlex.quote("it's")
    shlex.join(["a b", "c"])
    list(shlex.shlex("x = 'y'; z", posix=True, punctuation_chars=True))
    pprint.pprint({"a": [1, 2, {3: (4, 5)}], "b": "long text " * 20, "c": {1, 2}}, stream=io.StringIO(), width=30)
    pprint.pformat([["nested"] * 5] * 5, compact=True)


for use in (
    use_json, use_textwrap, use_argparse, use_configparser, use_string, use_difflib, use_fractions, use_html, use_others
):  # fmt: skip
    use()
