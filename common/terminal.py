"""Terminal: what a verb prints, made printable whoever wrote the text it holds.

In: text for standard output and error, objects for rich. Out: the same on the terminal or in the
journal of the machine, with nothing in it that either would take for an order. An error nobody
expected is told by its place and kind, and in its own words without the values they quote.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TextIO

from rich.console import Console

from common.printable import lines, without_values


class Terminal(Console):
    """Where a verb prints: what it is given as text is shown as text."""

    def render_str(self, text: str, **options: Any) -> Any:  # type: ignore[override]
        return super().render_str(lines(text), **options)


class _Stream:
    """Standard output or error for `print`. Rich writes its colours behind it, to the stream
    itself: what it draws came through `Terminal`.
    """

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        kept = self.rich_proxied_file.encoding or "utf-8"
        self.rich_proxied_file.write(lines(text).encode(kept, "backslashreplace").decode(kept))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


@contextmanager
def streams() -> Iterator[None]:
    """From here on what a verb prints is printable, and an error nobody expected is told without
    the values it quotes.
    """
    before, sys.excepthook = (sys.stdout, sys.stderr), _unexpected
    sys.stdout, sys.stderr = _Stream(sys.stdout), _Stream(sys.stderr)  # type: ignore[assignment]
    try:
        yield
    except Exception as error:  # here, for typer puts a hook of its own in the place of ours
        _unexpected(type(error), error, error.__traceback__)
        raise SystemExit(1) from None
    finally:
        sys.stdout, sys.stderr = before


def _unexpected(
    kind: type[BaseException], error: BaseException, where: TracebackType | None
) -> None:
    """Where it happened and what kind it is, and what was behind it: a row may stand in its text,
    so that is told without its values.
    """
    traceback.print_tb(where)
    words = lines(without_values(str(error)))
    print(f"{kind.__name__}{': ' if words else ''}{words}", file=sys.stderr)
    if (behind := error.__cause__ or error.__context__) is not None:
        print("\nand behind it:", file=sys.stderr)
        _unexpected(type(behind), behind, behind.__traceback__)
