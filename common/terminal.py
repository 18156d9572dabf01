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
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from common.printable import lines, without_values


class Terminal(Console):
    """Where a verb prints: what it is given as text is shown as text."""

    def render_str(self, text: str, **options: Any) -> Any:  # type: ignore[override]
        return super().render_str(lines(text), **options)


class Bars(Progress):
    """Bars on standard error, a line each: what is done, how many of how many, the time it took,
    the time left, and `words` (`add_task(…, words="")`). What is printed meanwhile stands above.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[words]}"),
            console=console,
            refresh_per_second=4,
            redirect_stdout=False,  # rich's own way writes around our streams, and through them
            redirect_stderr=False,
        )

    def start(self) -> None:
        self._before = sys.stdout, sys.stderr
        if sys.stdout.isatty():
            sys.stdout = _Above(sys.stdout, self.console)  # type: ignore[assignment]
        sys.stderr = _Above(sys.stderr, self.console)  # type: ignore[assignment]
        super().start()

    def stop(self) -> None:
        begun = [one for one in (sys.stdout, sys.stderr) if isinstance(one, _Above)]
        super().stop()
        sys.stdout, sys.stderr = self._before
        for one in begun:
            one.end()


def progress() -> Bars | None:
    """Where somebody looks on; else None."""
    console = Terminal(stderr=True)
    return Bars(console) if console.is_terminal else None


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


class _Above(_Stream):
    """What `print` says while bars are drawn: whole lines, above them."""

    def __init__(self, stream: Any, console: Console) -> None:
        super().__init__(getattr(stream, "rich_proxied_file", stream))
        self._console, self._line = console, ""

    def write(self, text: str) -> int:
        *whole, self._line = (self._line + text).split("\n")
        for line in whole:
            self._console.print(Text(lines(line)), soft_wrap=True)
        return len(text)

    def end(self) -> None:
        """What no line end came after is said too."""
        super().write(self._line)
        self._line = ""


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
