"""Numbers that remember how they were written.

`1.10`, `010` and `12e4567` may be a version, a key, a hash. They are numbers where a number is wanted, and in a text
they stay what somebody wrote. To Python they are the numbers that they stand for, in JSON and in comparisons too.
"""

import math


class WrittenInt(int):
    text = ""

    def __repr__(self) -> str:
        return self.text


class WrittenFloat(float):
    text = ""

    def __repr__(self) -> str:
        return self.text


def as_written(number: int | float, text: str) -> int | float:
    """The number; one that remembers the text where another text would be made of it."""
    if str(number) == text and isinstance(number, int):
        return number
    kept = WrittenInt(number) if isinstance(number, int) else WrittenFloat(number)
    kept.text = text
    return kept


def float_as_written(text: str) -> int | float:
    """For `json.loads(parse_float=…)`. Raises ValueError for a number that is too large to be one, such as `1e999`."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return as_written(number, text)
