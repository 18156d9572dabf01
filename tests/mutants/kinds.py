"""What a mutant is, and what became of it. Imports the standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Mutant:
    """One small fault in one place of one file."""

    file: str  # as git names it, from the top of the checkout
    start: int  # characters from the file's beginning
    end: int
    after: str  # what stands there instead
    before: str
    line: int  # counted from 1
    kind: str  # "condition dropped", "number", …

    def applied_to(self, text: str) -> str:
        """The file's text with the fault in it. Raises ValueError when the text is not the one the
        mutant was made from.
        """
        if text[self.start : self.end] != self.before:
            raise ValueError(f"{self.file} has changed since its mutants were made")
        return text[: self.start] + self.after + text[self.end :]

    def __str__(self) -> str:
        before, after = (
            " ".join(words.split())[:60] or "nothing" for words in (self.before, self.after)
        )
        return f"{self.file}:{self.line}: {self.kind}: {before} -> {after}"


@dataclass(frozen=True)
class Result:
    """What became of a mutant. `verdict`: killed, survived, or broken (no program any more: what
    reads it refuses it).
    """

    mutant: Mutant
    verdict: str
    by: str = ""  # the test that noticed


def mutant(file: str, text: str, span: tuple[int, int], after: str, kind: str) -> Mutant:
    """The mutant that puts `after` in the place of text[span]."""
    start, end = span
    return Mutant(file, start, end, after, text[start:end], text.count("\n", 0, start) + 1, kind)
