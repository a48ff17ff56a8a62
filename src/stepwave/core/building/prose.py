"""Sentences among commands: `All directories exist` under `acceptance_tests` is for people, not for a shell."""

import re

_syntax = re.compile(r"""[|&;<>$`"'=(){}\\*\[\]]|(?<!\S)[-/~]""")
"""What a sentence does not have: shell syntax, options, paths from the root."""

_word = re.compile(r"\.?[A-Za-z][\w.,:/+-]*[.!]?|[0-9]+[,.%]?")

_hold_sentences_together = (
    "the is are was has have should must will that which with without against and exist exists passes contain contains"
    " works correctly"
)
_stand_in_sentences = (
    "a an all any every each no not or but be can do does when after before across between into from for of to in on"
    " at by as than pass"
)
_joints = frozenset(_hold_sentences_together.split())
"""Hardly any command is given one of these as an argument."""

_little = _joints.union(_stand_in_sentences.split())


def reads_as_prose(text: str) -> bool:
    """Whether a text is a sentence, by its form alone; whether its first word is a program must be asked elsewhere.

    In doubt it is a command: better one that fails than a test that is left out.
    """
    words = text.split()
    if len(words) < 2 or _syntax.search(text) or not all(_word.fullmatch(word) for word in words):
        return False
    rest = [word.lower().strip(".,:!") for word in words[1:]]
    if text.lstrip()[0].isupper():
        return len(words) > 3 or any(word in _little for word in rest)
    return len(words) > 3 and "/" not in text and any(word in _joints for word in rest)
