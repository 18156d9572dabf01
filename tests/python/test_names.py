"""Names are minted once: unique, legal on both platforms, nobody else's, and the same in whatever
order people come.

HOMEROOM_PROPERTY_EXAMPLES says how many people the long test generates (3,000 unless set; 100,000
take some minutes).
"""

from __future__ import annotations

import os
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import District
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mint import Mint

from demo.platforms.google_tenant import _LOCAL_PART
from demo.platforms.microsoft_tenant import UPN
from demo.platforms.microsoft_users import NICKNAME_BAD

PEOPLE = int(os.environ.get("HOMEROOM_PROPERTY_EXAMPLES", "3000"))
PATTERNS = (
    "{first}.{last}",
    "{f}{last}",
    "{last}{f}{yy}",
    "{first}_{l}",
    "{number}",
    "{yy}{last}",
    "{last}.{number}",
    "{first}-{last}.{year}",
    "x{f}{l}",
)
SCRIPTS = (
    "abc",
    "aéÆßłø",
    "ʔəx̣ʷƛ̓",
    "ḴṈȺŦ",
    "ᓄᓇᕗᑦ",
    "жщіґ",
    "李王张",
    "سلمى",
    "अआइ",
    "-'’ʼ`",
    "0189",
    " .",
    "A\u0301e\u0302",
)
WORDS = (("abba", "whole"), ("cab", "anywhere"))


@pytest.fixture(scope="module")
def target(two_nights: District) -> Path:
    return two_nights.var / "target"


def is_legal(name: str) -> bool:
    """As a local part at Google, as a user name and a nickname at Microsoft."""
    microsoft = (
        UPN.fullmatch(f"{name}@s.example")
        and not name.endswith(".")
        and not NICKNAME_BAD.search(name)
        and name.isascii()
    )
    return bool(_LOCAL_PART.fullmatch(name) and len(name) <= 64 and microsoft)


def person(
    number: int,
    first: str | None,
    last: str | None,
    school: str,
    admitted: str | None,
    population: str = "student",
) -> tuple[object, ...]:
    return (
        f"p{number * 7919 % 1_000_003:015x}",
        population,
        f"{number:07d}",
        school,
        first,
        last,
        first,
        last,
        admitted,
    )


words = st.one_of(
    st.none(),
    st.builds(
        "".join,
        st.lists(
            st.sampled_from(
                ["a", "b", "ab", "é", "ʔ", "ᓄ", "李", "-", "’", "2", " ", "ß", "ƛ", "abba", "cab"]
            ),
            max_size=4,
        ),
    ),
)
long_words = st.one_of(words, st.integers(30, 90).map(lambda length: "ab" * length))


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(
        st.tuples(
            long_words,
            words,
            st.sampled_from(["1", "2"]),
            st.sampled_from([None, "2026-09-08", "2020-02-01"]),
        ),
        min_size=1,
        max_size=30,
    ),
    patterns=st.lists(st.sampled_from(PATTERNS), min_size=2, max_size=2),
    change=st.sampled_from(["keep", "rename"]),
    taken=st.lists(
        st.sampled_from(
            ["a", "a2", "ab", "ab.a", "ab26", "ab26-2", "26ab", "0000001", "b.student", "xab"]
        ),
        unique=True,
    ),
    cuts=st.lists(st.integers(0, 30), max_size=3),
    chance=st.randoms(use_true_random=False),
)
def test_names_are_unique_legal_kept_and_the_same_in_any_order(
    target, rows, patterns, change, taken, cuts, chance
) -> None:
    policies = [
        {"pattern": patterns[0], "on_name_change": change},
        {"pattern": patterns[1], "school_number": "2", "max_length": 20, "on_name_change": change},
    ]
    people = [person(number, *row) for number, row in enumerate(rows, 1)]
    renamed = [
        (*one[:4], one[4], "Ab’ba", *one[6:]) if chance.random() < 0.3 else one for one in people
    ]
    # what comes on which night is given; in which order its rows stand is not
    nights = [*(people[:cut] for cut in sorted(cuts)), people, renamed]
    given_names = []
    for _ in range(2):
        mint = Mint(target, policies, WORDS)
        mint.taken(taken)
        before: dict[tuple[str, int], str] = {}
        for night in nights:
            shuffled = list(night)
            chance.shuffle(shuffled)
            mint.people(shuffled)
            mint.night()
            now = mint.names()
            assert before.items() <= now.items(), "a name once given stays its owner's"
            before = now
        assert mint.night() == 0, "the same people once more are given nothing"
        mint.close()
        names = list(before.values())
        assert len(set(names)) == len(names)
        assert not set(names) & set(taken)
        assert [name for name in names if not is_legal(name)] == []
        assert {owner for owner, number in before if number == 1} == {one[0] for one in people}
        if change == "keep":
            assert {number for _, number in before} == {1}
        letters = {name: re.sub("[^a-z]", "", name) for name in names}
        assert [name for name, plain in letters.items() if plain == "abba" or "cab" in plain] == []
        given_names.append(before)
    assert given_names[0] == given_names[1]


def crowd(count: int, chance: random.Random) -> Iterator[tuple[object, ...]]:
    """People of several scripts; some names are as common as Smith."""
    common = [
        (
            "".join(chance.choices(chance.choice(SCRIPTS[:4]), k=chance.randint(1, 6))),
            "".join(chance.choices("abc", k=3)),
        )
        for _ in range(50)
    ]
    for number in range(1, count + 1):
        if chance.random() < 0.3:
            first, last = chance.choice(common)
        else:
            first, last = (
                "".join(chance.choices(chance.choice(SCRIPTS), k=chance.randint(1, 9)))
                for _ in range(2)
            )
        admitted = chance.choice([None, "2026-09-08", "2021-09-07", "2014-02-01"])
        yield (
            f"p{number * 2_654_435_761 % 2**52:015x}",
            chance.choice(["student", "staff"]),
            f"{number:07d}",
            chance.choice(["1", "2", "3"]),
            chance.choice([first, first, first, None]),
            last,
            first,
            last,
            admitted,
        )


def test_a_crowd_over_many_nights_gets_one_name_each(target) -> None:
    chance = random.Random(4)
    people = list(crowd(PEOPLE, chance))
    policies = [
        {"on_name_change": "rename"},
        {"population": "staff", "pattern": "{f}{last}", "hyphens": "keep", "domain": "d.example"},
        {"school_number": "1", "pattern": "{last}{f}{yy}"},
        {"school_number": "2", "pattern": "{number}"},
        {"population": "staff", "school_number": "3", "pattern": "{first}.{l}", "names": "legal"},
    ]
    edges = sorted(chance.sample(range(1, PEOPLE), 5))
    nights = [people[:edge] for edge in edges] + [people]
    given_names = []
    for turn in range(2):
        mint = Mint(target, policies)
        mint.taken([f"abc{number}" for number in range(2, 200, 3)])
        before: dict[tuple[str, int], str] = {}
        for night in nights:
            shuffled = list(night)
            random.Random(turn).shuffle(shuffled)
            mint.people(shuffled)
            mint.night()
            now = mint.names()
            assert before.items() <= now.items()
            before = now
        mint.close()
        assert len(before) == len(set(before.values())) == PEOPLE
        assert [name for name in before.values() if not is_legal(name)] == []
        given_names.append(before)
    assert given_names[0] == given_names[1]
    assert (
        max(Counter(re.sub("[0-9-]+$", "", name) for name in given_names[0].values()).values())
        > PEOPLE // 500
    ), "many had to share a base"


def test_another_pattern_for_one_school_concerns_its_future_accounts_only(target) -> None:
    mint = Mint(target, [{}])
    first = [person(1, "Ana", "Bo", "1", "2026-09-08"), person(2, "Cy", "Dee", "2", "2026-09-08")]
    mint.people(first)
    assert mint.night() == 2
    mint.policies(
        [
            {},
            {
                "school_number": "2",
                "policy": "north",
                "pattern": "{last}{f}{yy}",
                "domain": "n.example",
            },
        ]
    )
    mint.people(
        [
            *first,
            person(3, "Ed", "Fox", "1", "2026-09-08"),
            person(4, "Gus", "Hill", "2", "2026-09-08"),
        ]
    )
    assert mint.night() == 2
    assert sorted(mint.names().values()) == ["ana.bo", "cy.dee", "ed.fox", "hillg26"]
    domains = dict(
        mint.connection.execute(
            "select account_name, domain from ledger.identity.accounts"
        ).fetchall()
    )
    assert domains["hillg26"] == "n.example"
    assert domains["cy.dee"] == "s.example"
    mint.close()


def test_who_comes_back_after_years_has_the_name_of_then(target) -> None:
    mint = Mint(target, [{}])
    ana, other = (
        person(1, "Ana", "Bo", "1", "2018-09-04"),
        person(2, "Ana", "Bo", "1", "2026-09-08"),
    )
    mint.people([ana])
    assert mint.night() == 1
    mint.people([])
    assert mint.night() == 0
    mint.people([other])
    assert mint.night() == 1
    mint.people([(*ana[:3], "2", *ana[4:]), other])
    assert mint.night() == 0
    assert mint.names() == {(ana[0], 1): "ana.bo", (other[0], 1): "ana.bo2"}
    mint.close()


def test_a_rename_takes_no_name_from_anybody_and_gives_the_old_one_to_nobody(target) -> None:
    mint = Mint(target, [{"on_name_change": "rename"}])
    mint.people([person(1, "Ana", "Bo", "1", None), person(2, "Ana", "Fox", "1", None)])
    mint.night()
    ana = (*person(1, "Ana", "Fox", "1", None)[:6], "Ana", "Bo", None)
    mint.people([ana, person(2, "Ana", "Fox", "1", None), person(3, "Ana", "Bo", "1", None)])
    mint.night()
    names = mint.names()
    assert names[ana[0], 1] == "ana.bo"
    assert names[ana[0], 2] == "ana.fox2"
    assert names[person(3, "", "", "", None)[0], 1] == "ana.bo2"
    mint.close()
