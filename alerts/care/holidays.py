"""Swedish public holidays, computed. Pure.

Lag (1989:253) om allmänna helgdagar names them, beside every Sunday. Midsummer Eve, Christmas Eve
and New Year's Eve are held equal to them (lag 1930:173, 2 §). Easter Eve is not, nor are the
half days before a holiday: a unit that is closed then says so for that day.
"""

from datetime import date, timedelta
from functools import cache

_FRIDAY, _SATURDAY = 4, 5


def holiday(day: date) -> str | None:
    """Return the Swedish name of the holiday, or nothing; a plain Sunday has none."""
    return _of_year(day.year).get(day)


@cache
def _of_year(year: int) -> dict[date, str]:
    easter = easter_sunday(year)
    midsummer_eve = _first(_FRIDAY, date(year, 6, 19))
    return {
        date(year, 1, 1): "nyårsdagen",
        date(year, 1, 6): "trettondedag jul",
        easter - timedelta(days=2): "långfredagen",
        easter: "påskdagen",
        easter + timedelta(days=1): "annandag påsk",
        # Ascension Day can be the first of May (2008): it is named then.
        date(year, 5, 1): "första maj",
        easter + timedelta(days=39): "Kristi himmelsfärdsdag",
        easter + timedelta(days=49): "pingstdagen",
        date(year, 6, 6): "nationaldagen",
        midsummer_eve: "midsommarafton",
        midsummer_eve + timedelta(days=1): "midsommardagen",
        _first(_SATURDAY, date(year, 10, 31)): "alla helgons dag",
        date(year, 12, 24): "julafton",
        date(year, 12, 25): "juldagen",
        date(year, 12, 26): "annandag jul",
        date(year, 12, 31): "nyårsafton",
    }


def easter_sunday(year: int) -> date:
    """Return Easter Sunday of the Gregorian calendar (the rule of Meeus, Jones and Butcher)."""
    golden = year % 19
    century, of_century = divmod(year, 100)
    leaps, century_rest = divmod(century, 4)
    moon_shift = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leaps - moon_shift + 15) % 30
    year_leaps, year_rest = divmod(of_century, 4)
    to_sunday = (32 + 2 * century_rest + 2 * year_leaps - epact - year_rest) % 7
    late = (golden + 11 * epact + 22 * to_sunday) // 451
    month, day = divmod(epact + to_sunday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def _first(weekday: int, day: date) -> date:
    """Return the first *weekday* (0: Monday) from *day* on."""
    return day + timedelta(days=(weekday - day.weekday()) % 7)
