"""Words: what this house calls who or what a row is about, and the part it belongs to.

In: `[words]` of the settings. Out: the words of sentences and pages: a house of schools says person
and school where the engine only knows subjects and partitions.
"""

from __future__ import annotations

from common import settings
from common.settings import Section, Text


class Words(Section):
    """[words]: one and several of each."""

    subject: Text = "subject"
    """Who or what a row is about."""
    subjects: Text = ""
    """Several of them; unset: the word with an s."""
    partition: Text = "partition"
    """The part a row belongs to."""
    partitions: Text = ""
    """Several of them; unset: the word with an s."""
    entered_by: Text = "whoever enters them"
    """Who writes subjects down, for somebody nobody knows."""
    known_by: Text = "key"
    """What people call a subject's key."""
    night: Text = "night"
    """A night on which sources are expected to have something new."""
    nights: Text = ""
    """Several of them; unset: the word with an s."""
    records: Text = "data"
    """What a short run by day is about."""


def words() -> Words:
    """The words, each filled in."""
    said = settings.read(Words, "words")
    return said.model_copy(
        update={
            "subjects": said.subjects or f"{said.subject}s",
            "partitions": said.partitions or f"{said.partition}s",
            "nights": said.nights or f"{said.night}s",
        }
    )
