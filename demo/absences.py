"""Who was absent in the synthetic district: about one student in twenty on a school day.

In: a student's number and two days, the one of the absence and the one of asking. Out: what was
missed and whether it is authorised. A parent's note that comes days later turns an unauthorised
absence into an authorised one, so the same absence may look different tomorrow: also that is a pure
function of the seed.
"""

from __future__ import annotations

from dataclasses import dataclass

from demo.chance import fraction

DAYS_SHOWN = 4  # the day itself and the three school days before it
_RATE, _LATE_RATE = 0.05, 0.008
_REASONS = ("ILL", "MED", "FAM", "")


@dataclass(frozen=True, slots=True)
class Absence:
    """One day of one student. `parts` are AM and PM in elementary, the periods 1 to 4 in secondary
    school.
    """

    parts: tuple[str, ...]
    late: bool
    authorised: bool
    reason: str


def absence(seed: int, student: str, day: int, seen_on: int, *, secondary: bool) -> Absence | None:
    """What a student missed on a day, as known on a later one; None for nearly everybody."""
    roll = fraction(seed, "absent", student, day)
    if roll >= _RATE + _LATE_RATE:
        return None
    shape, note = fraction(seed, "missed", student, day), fraction(seed, "note", student, day)
    authorised = note < 0.45 + 0.15 * min(seen_on - day, 2)
    late = roll >= _RATE
    parts = _periods(shape, late) if secondary else _halves(shape, late)
    return Absence(parts, late, authorised, _REASONS[int(note * 40) % 4] if authorised else "")


def _halves(shape: float, late: bool) -> tuple[str, ...]:
    """Most miss the whole day, some a half; who is late is late in the morning."""
    if late or shape < 0.13:
        return ("AM",)
    return ("PM",) if shape < 0.28 else ("AM", "PM")


def _periods(shape: float, late: bool) -> tuple[str, ...]:
    """Half miss the whole day, the others one or two periods in a row; who is late is late once."""
    if late:
        return (str(1 + int(shape * 4)),)
    if shape < 0.5:
        return ("1", "2", "3", "4")
    first = 1 + int((shape - 0.5) * 8)
    return (str(first),) if shape * 100 % 1 < 0.6 or first == 4 else (str(first), str(first + 1))
