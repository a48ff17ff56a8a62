"""Moments in expressions: read from ISO 8601 or milliseconds, written in a form, all of it in UTC."""

import re
from typing import TYPE_CHECKING

from stepwave.core.language.values import BadArgument, Number, kind_of
from stepwave.core.model import Value

if TYPE_CHECKING:
    from datetime import datetime

ISO = "YYYY-MM-DDTHH:mm:ssZ"
_codes = re.compile("YYYY|MM|DD|HH|mm|ss")
_milliseconds = re.compile("-?[0-9]{11,15}")


def written_at(now: float, form: str) -> str:
    """`now` in seconds since the epoch, with `YYYY MM DD HH mm ss` of the form replaced."""
    from datetime import UTC, datetime

    return _written(datetime.fromtimestamp(now, tz=UTC), form)


def format_date(date: Value, form: str = "YYYY-MM-DD") -> str:
    """The date in this form. Raises BadArgument for what is no date."""
    return _written(_moment(date), form)


def add_time(date: Value, *, days: Number = 0, hours: Number = 0, minutes: Number = 0) -> str:
    """A later moment, or an earlier one, in ISO 8601. Raises BadArgument, and OverflowError beyond the year 9999."""
    from datetime import timedelta

    return _written(_moment(date) + timedelta(days=days, hours=hours, minutes=minutes), ISO)


def _written(moment: "datetime", form: str) -> str:
    parts = {
        "YYYY": f"{moment.year:04}",
        "MM": f"{moment.month:02}",
        "DD": f"{moment.day:02}",
        "HH": f"{moment.hour:02}",
        "mm": f"{moment.minute:02}",
        "ss": f"{moment.second:02}",
    }
    return _codes.sub(lambda match: parts[match[0]], form)


def _moment(date: Value) -> "datetime":
    """A date without a time is its beginning; a time without a zone is UTC; numbers are milliseconds since 1970."""
    from datetime import UTC, datetime, timedelta

    if isinstance(date, str) and _milliseconds.fullmatch(date):
        date = int(date)
    if isinstance(date, int | float) and not isinstance(date, bool):
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=date)
    if not isinstance(date, str):
        raise BadArgument(f"the first argument must be a date, not {kind_of(date)}")
    try:
        if len(date) > 40:
            raise ValueError
        moment = datetime.fromisoformat(date.strip())
    except ValueError:
        raise BadArgument("the first argument is no date such as 2026-01-31 or 2026-01-31T12:00:00Z") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
