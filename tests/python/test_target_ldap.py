"""Kind `ldap` by itself, against a real OpenLDAP: names and places, what is protected, lists and
groups beyond what a server gives at once, TLS; and what answers of an Active Directory mean. What
every target must hold is asked in `test_targets`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import ldap_server
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ldap_server import BASE, SUFFIX, Running
from target_kit import FOLDER, described, filled

from common.settings import SettingsError
from reverse_etl import exports
from reverse_etl.configured import TargetSettingsError
from reverse_etl.model import Change, Export
from reverse_etl.targets.ldap import Ldap
from reverse_etl.targets.ldap.errors import trouble_of
from reverse_etl.targets.reading import TargetUnreadableError

here = pytest.mark.skipif(bool(ldap_server.missing()), reason=ldap_server.missing() or "-")
SAID = {"run_id": "run1", "timeout": 10}
UNITS = {
    "name": "exp_ldap__units",
    "schema": "exports",
    "columns": {
        "path": {"data_type": "text", "config": {"meta": {"field": "@path"}}},
        "about": {"data_type": "text", "config": {"meta": {"field": "description"}}},
    },
}


def declared() -> dict[str, Export]:
    units = exports.parsed(UNITS, {"target": "ldap", "entity": "units", "key": ["path"]})
    return {"units": units} | exports.declared("ldap", FOLDER / "ldap")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with ldap_server.running(tmp_path_factory.mktemp("slapd")) as running:
        yield running


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path))


@pytest.fixture
def directory(server: Running) -> Iterator[Ldap]:
    made = target(server)
    yield made
    made.close()
    connection = server.connection()
    kept = {BASE, f"cn=by hand,{BASE}", f"cn=choir,{BASE}"}
    kept |= {f"ou={unit},{BASE}" for unit in ldap_server.UNITS}
    there = [dn for dn in server.ask() if dn not in kept]
    for dn in sorted(there, key=lambda dn: -dn.count(",")):
        connection.delete_s(dn)
    connection.unbind_s()


def target(server: Running, **more: Any) -> Ldap:
    said = described("ldap", server)["targets"]["ldap"]
    return Ldap("ldap", said | SAID | more, declared())


def user(number: int = 1, **more: Any) -> Change:
    row = filled(
        {
            "person_id": "{key}",
            "login": "u{number}@student.sd74.example",
            "name": "{key}",
            "given_name": "Zoë",
            "family_name": "O’Brien-Łuk",
            "unit": "/A",
            "active": True,
        },
        key=f"p{number:015x}",
        number=str(number),
    )
    return Change(f"user-{number}", "ldap", "users", (row["person_id"],), "create", new=row | more)


def group(key: str = "g1", **more: Any) -> Change:
    new = {"group_id": key, "code": key, "name": "G"} | more
    return Change(f"group-{key}", "ldap", "groups", (key,), "create", new=new)


def tie(team: str, person: str, key: str) -> Change:
    """Somebody, by remote id and key, into the group g1."""
    ends = {"group_id": team, "person_id": person}
    return Change(f"tie-{key}", "ldap", "members", ("g1", key), "create", references=ends)


def later(change: Change, remote_id: str, action: str = "update", **new: Any) -> Change:
    return Change("later", "ldap", change.entity, change.key, action, remote_id, {}, new)


def done(directory: Ldap, *changes: Change) -> list[str]:
    found = [directory.apply([one])[0] for one in changes]
    assert [one for one in found if one.status != "applied"] == []
    return [str(one.remote_id) for one in found]


def seen(directory: Ldap, entity: str = "users") -> dict[str, dict[str, Any]]:
    rows = [row for batch in directory.observe(entity) for row in batch.to_pylist()]
    return {row["remote_id"]: row for row in rows}


# ---------------------------------------------------------------- names and places


@here
@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), max_size=4)
)
def test_a_path_is_the_name_of_one_entry_and_comes_back(parts: list[str]):
    from reverse_etl.targets.ldap import names

    parts = [
        part for part in parts if part.strip() == part and "\\" not in part and "=" not in part
    ]
    path = "/" + "/".join(part.replace("/", "\\/") for part in parts)
    dn = names.dn(path, BASE)
    assert names.path(dn, BASE) == path
    assert names.below(dn, BASE) and not names.below(SUFFIX, BASE)
    assert names.parent(names.dn(f"{path}/x", BASE)) == names.parent(f"ou=x,{dn}")


@here
@pytest.mark.parametrize(
    "name", ['Lee, Mia "Mo" <x>', "#1 + 2 = 3; so", " Zoë\\Łuk ", "名字", "O’Brien/Lee"]
)
def test_a_name_of_any_letters_is_one_entry(directory, server, name):
    made = user(name=name)
    (remote_id,) = done(directory, made)
    assert seen(directory)[remote_id]["name"] == name
    assert directory.find(made) == remote_id
    again = directory.apply([made])[0]
    assert (again.status, again.reason, again.remote_id) == ("applied", "duplicate", remote_id)


@here
def test_who_moves_and_is_named_anew_keeps_id_key_and_groups(directory, server):
    made = user()
    person, team = done(directory, made, group())
    done(directory, tie(team, person, made.key[0]))
    to = later(made, person, unit="/B", name="Mia Lee", given_name="Mia")
    for _ in range(2):  # the second time as after a lost answer
        done(directory, to)
        row = seen(directory)[person]
        assert (row["unit"], row["name"], row["given_name"]) == ("/B", "Mia Lee", "Mia")
        assert row["person_id"] == made.key[0]
        assert f"cn=Mia Lee,ou=B,{BASE}" in server.ask()
    fresh = target(server)
    assert [row["person_id"] for row in seen(fresh, "members").values()] == [made.key[0]]
    fresh.close()


@here
def test_a_name_that_differs_in_letter_case_alone_is_written(directory):
    made = user(name="mia lee")
    (person,) = done(directory, made)
    done(directory, later(made, person, name="Mia Lee"))
    assert seen(directory)[person]["name"] == "Mia Lee"


@here
def test_a_place_that_is_taken_or_not_there_is_refused_and_nobody_moves(directory):
    one, other = user(1, name="Mia Lee"), user(2, name="Mia Lee", unit="/B")
    (first, second) = done(directory, one, other)
    refused = directory.apply([later(other, second, unit="/A")])[0]
    assert (refused.status, refused.reason) == ("failed", "duplicate")
    nowhere = directory.apply([later(one, first, unit="/Nowhere")])[0]
    assert (nowhere.status, nowhere.reason) == ("failed", "not_found")
    assert {row["unit"] for row in seen(directory).values() if row["person_id"]} >= {"/A", "/B"}


@here
def test_units_are_made_below_each_other_and_their_base_is_none_of_them(directory):
    paths = ["/Students", "/Students/Oak, North", "/Students/Oak, North/9"]
    changes = [
        Change(path, "ldap", "units", (path,), "create", new={"path": path, "about": "x"})
        for path in paths
    ]
    assert [directory.order(one) for one in changes] == [0, 1, 2]
    ids = done(directory, *changes)
    found = {row["path"]: row["remote_id"] for row in seen(directory, "units").values()}
    assert "/" not in found
    assert [found[path] for path in paths] == ids
    assert directory.apply([changes[0]])[0].reason == "duplicate"
    full = directory.apply([later(changes[0], ids[0], "delete")])[0]
    assert (full.status, full.reason) == ("failed", "precondition"), "something stands in it"
    assert seen(directory, "units").keys() >= set(ids)


# ---------------------------------------------------------------- what is not ours to touch


@here
def test_what_is_protected_is_read_and_never_touched(server, directory):
    person, team = done(directory, user(given_name="Keep"), group(name="Keep"))
    careful = target(server, protected=["givenName=keep", "description=KEEP"])
    (other,) = done(directory, user(2))
    before = server.ask()
    both = [tie(team, person, user().key[0]), tie(team, other, user(2).key[0])]
    assert {one.reason for one in careful.apply(both)} == {"role_group"}, "nor by one call for many"
    for change in (
        later(user(), person, unit="/B"),
        later(user(), person, "suspend", active=False),
        later(user(), person, "delete"),
        tie(team, person, user().key[0]),
    ):
        outcome = careful.apply([change])[0]
        assert outcome.status == "failed"
        assert outcome.reason in {"role_holder", "role_group"}
        assert outcome.note
    assert server.ask() == before
    assert person in seen(careful)
    careful.close()


@here
def test_nothing_outside_of_the_base_is_changed(server, directory):
    (person,) = done(directory, user(unit="/A"))
    narrow = target(server, base=f"ou=B,{BASE}")
    for action in ("update", "delete"):
        (outcome,) = narrow.apply([later(user(), person, action, given_name="x")])
        assert outcome.reason == "not_found"
    assert person in seen(directory)
    assert seen(narrow) == {}
    narrow.close()


@here
def test_a_name_of_somebody_without_our_key_is_not_taken_over(directory, server):
    thief = directory.apply([user(login="somebody@student.sd74.example")])[0]
    assert (thief.status, thief.reason) == ("failed", "duplicate")
    bad = directory.apply([user(2, login="no address")])[0]
    assert (bad.status, bad.reason) == ("failed", "invalid"), "a broken rule is nobody else's name"
    assert server.ask(f"(employeeNumber={user().key[0]})") == {}


@here
@pytest.mark.parametrize(
    ("adopts", "there", "words", "ours"),
    [
        (False, {}, "which carries no key of ours", False),
        (True, {}, "", True),
        (True, {"employeeType": [b"closed"]}, "by @enabled no person's own", False),
        (True, {"employeeNumber": [b"p9"]}, "which carries the key p9", False),
        (
            True,
            {"objectClass": [b"inetOrgPerson", b"simpleSecurityObject"]},
            "by objectClass",
            False,
        ),
        (True, {"title": [b"room"]}, "by title no person's own", False),
    ],
)
def test_who_has_the_name_is_named_and_ours_only_where_it_is_nobodys_and_a_persons_own(
    server, directory, adopts, there, words, ours
):
    old = {"objectClass": [b"inetOrgPerson"], "cn": [b"old"], "sn": [b"Old"]}
    old |= {"mail": [b"U1@student.sd74.example"], "userPassword": [b"its own"]} | there
    connection = server.connection()
    connection.add_s(f"cn=old,ou=B,{BASE}", list(old.items()))
    connection.unbind_s()
    before = next(iter(server.ask("(cn=old)").values()))["entryUUID"][0].decode()
    said: dict[str, Any] = {"adopts": adopts}
    if "title" in there:
        said["adopts_only"] = {"title": ["", "teacher"]}
    made = target(server, entities={"users": said})
    (outcome,) = made.apply([user()])
    made.close()
    assert (outcome.status, outcome.remote_id if ours else outcome.reason) == (
        ("applied", before) if ours else ("failed", "duplicate")
    )
    assert words in outcome.note
    assert "u1@" not in outcome.note.lower()
    assert bool(server.ask(f"(employeeNumber={user().key[0]})")) == ours
    if ours:  # with the password it had, in the unit it belongs to
        row = seen(directory)[before]
        assert (row["unit"], row["person_id"]) == ("/A", user().key[0])
        (entry,) = server.ask(f"(employeeNumber={user().key[0]})").values()
        assert entry["userPassword"] == [b"its own"]


@here
def test_a_group_at_the_name_of_ours_becomes_ours_with_who_is_in_it(server, directory):
    exported = declared()
    columns = {c.name: c for c in exported["groups"].columns}
    named = replace(columns["code"], role="login")
    groups = replace(exported["groups"], columns=(columns["group_id"], named, columns["name"]))
    said = described("ldap", server)["targets"]["ldap"] | SAID
    said["entities"] = {"groups": {"under": "/Groups", "adopts": True}}
    made = Ldap("ldap", said, exported | {"groups": groups})
    there = {"objectClass": [b"groupOfNames"], "cn": [b"band"], "member": [f"cn=x,{BASE}".encode()]}
    connection = server.connection()
    connection.add_s(f"cn=band,ou=Groups,{BASE}", list(there.items()))
    connection.unbind_s()
    before = next(iter(server.ask("(cn=band)").values()))
    (outcome,) = made.apply([group("g1", code="BAND", name="Band")])
    made.close()
    after = next(iter(server.ask("(cn=band)").values()))
    remote_id = before["entryUUID"][0].decode()
    assert (outcome.status, outcome.remote_id) == ("applied", remote_id)
    assert after["businessCategory"] == [b"g1"]
    assert after["member"] == before["member"]


@pytest.mark.parametrize(
    ("there", "by"),
    [
        ({}, None),
        ({"msexchrecipienttypedetails": [b"2147483648"]}, None),
        ({"msexchrecipienttypedetails": [b"4"]}, "msExchRecipientTypeDetails"),
        ({"msexchrecipienttypedetails": [b"16"]}, "msExchRecipientTypeDetails"),
        ({"serviceprincipalname": [b"http/web"]}, "servicePrincipalName"),
        ({"objectclass": [b"top", b"person", b"user", b"computer"]}, "objectClass"),
        ({"useraccountcontrol": [b"514"]}, "@enabled"),
        ({"admincount": [b"1"]}, "what the directory protects"),
    ],
)
def test_of_an_active_directory_only_a_persons_own_account_could_be_adopted(there, by):
    pytest.importorskip("ldap")
    from reverse_etl.targets.ldap.directory import Entry

    entry = {"objectclass": [b"top", b"person", b"organizationalPerson", b"user"]}
    entry |= {"useraccountcontrol": [b"512"]} | there
    made = Ldap("ad", {"dialect": "active_directory", "url": "ldaps://d"}, declared())
    assert made._unlike("users", Entry("cn=a,dc=d", entry)) == by


# ---------------------------------------------------------------- many


@here
def test_lists_and_groups_are_read_to_their_end(directory, server):
    """More than the 500 entries the server gives at once."""
    import ldap

    connection = server.connection()
    with pytest.raises(ldap.SIZELIMIT_EXCEEDED):
        for number in range(520):
            dn = f"cn=x{number},ou=C,{BASE}"
            entry = {"objectClass": "inetOrgPerson", "sn": "x", "employeeNumber": f"x{number}"}
            connection.add_s(dn, [(name, [value.encode()]) for name, value in entry.items()])
        connection.search_s(BASE, ldap.SCOPE_SUBTREE)
    connection.unbind_s()
    found = seen(directory)
    assert len([row for row in found.values() if str(row["person_id"]).startswith("x")]) == 520
    (team,) = done(directory, group())
    ties = [
        tie(team, remote_id, row["person_id"])
        for remote_id, row in found.items()
        if row["person_id"] and row["person_id"].startswith("x")
    ]
    asked = server.sent()
    outcomes = directory.apply(ties)
    assert {one.status for one in outcomes} == {"applied"}
    assert server.sent() - asked <= 3, "one call for all of a group"
    fresh = target(server)
    assert len([row for row in seen(fresh, "members").values() if row["person_id"]]) == 520
    fresh.close()


@here
def test_one_of_many_members_that_is_in_already_keeps_nobody_out(directory):
    team, *people = done(directory, group(), user(1), user(2), user(3))
    ties = [tie(team, person, user(at).key[0]) for at, person in enumerate(people, 1)]
    done(directory, ties[1])
    assert [one.status for one in directory.apply(ties)] == ["applied"] * 3
    assert {row["person_id"] for row in seen(directory, "members").values()} == {
        user(number).key[0] for number in (1, 2, 3)
    }, "and the one that stands there so that it is not empty is nobody"


# ---------------------------------------------------------------- signing in


@here
def test_a_certificate_is_believed_where_its_authority_is_known(tmp_path):
    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    own = authority.issue_cert("127.0.0.1")
    own.private_key_and_cert_chain_pem.write_to_path(tmp_path / "own.pem")
    with ldap_server.running(tmp_path / "slapd", tls=str(tmp_path / "own.pem")) as running:
        sealed = target(running, ca_file=str(tmp_path / "ca.pem"))
        assert sealed.check_connection() == f"signed in as {ldap_server.USER}, {BASE} can be read"
        done(sealed, user())
        sealed.close()
        stranger = target(running)
        with pytest.raises(
            TargetUnreadableError, match=r"its certificate is not believed .*set ca_file"
        ):
            stranger.check_connection()
        outcome = stranger.apply([user(2)])[0]
        assert (outcome.status, outcome.reason) == ("failed", "not_configured")
        stranger.close()


def test_a_password_never_crosses_a_network_in_the_clear():
    for url in ("ldap://dc1.sd74.example", "http://dc1.sd74.example", "dc1"):
        with pytest.raises(SettingsError, match=r"in the clear|should look like"):
            Ldap("ldap", {"kind": "ldap", "url": url}, {})
    for said in ({"url": "ldaps://dc1.sd74.example"}, {"url": "ldap://dc1", "start_tls": True}):
        Ldap("ldap", {"kind": "ldap"} | said, {})


def test_without_the_library_it_says_what_to_install(monkeypatch):
    for name in [one for one in sys.modules if one.startswith("reverse_etl.targets.ldap.")]:
        if name.rpartition(".")[2] in {"directory", "names"}:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("reverse_etl.targets.ldap.directory", raising=False)
    monkeypatch.setitem(sys.modules, "ldap", None)
    said = {"kind": "ldap", "url": "ldap://localhost", "user": "u", "password": "p", "base": "o=x"}
    made = Ldap("ldap", said | {"switch": {"attribute": "a", "off": "b"}}, declared())
    with pytest.raises(TargetUnreadableError, match=r"run: make \.venv/ldap"):
        made.check_connection()
    assert made.apply([user()])[0].reason == "not_configured"


@pytest.mark.parametrize(
    "column, said",
    [
        ({"at": "users", "name": "name", "field": "displayName"}, "no column has field cn"),
        ({"at": "users", "name": "unit", "field": "@path"}, "belongs to units"),
        ({"at": "units", "name": "about", "field": "@unit"}, "belongs to users and groups"),
        ({"at": "units", "name": "path", "field": "ou"}, "the key of a unit has field @path"),
        ({"at": "users", "name": "active", "role": "deleted"}, "does not follow"),
    ],
)
def test_an_export_no_directory_could_follow_is_refused(column, said):
    from dataclasses import replace

    found = declared()
    export = found[column["at"]]
    changed = [
        replace(one, **{k: v for k, v in column.items() if k in {"field", "role"}})
        if one.name == column["name"]
        else one
        for one in export.columns
    ]
    found[column["at"]] = replace(export, columns=tuple(changed))
    with pytest.raises(TargetSettingsError, match=said):
        Ldap("ldap", {"kind": "ldap", "switch": {"attribute": "a", "off": "b"}}, found)
    with pytest.raises(TargetSettingsError, match="which attribute closes one"):
        Ldap("ldap", {"kind": "ldap"}, declared())


# ---------------------------------------------------------------- what answers mean


@pytest.mark.parametrize(
    "code, info, status, reason",
    [
        (49, "80090308: LdapErr: DSID-0C09044E, data 52e, v1db1", "failed", "unauthorized"),
        (50, "00002098: SecErr", "failed", "forbidden"),
        (51, "", "retry", "throttled"),
        (52, "", "retry", "server_error"),
        (80, "", "retry", "server_error"),
        (80, "00002095: new superior", "failed", "not_found"),
        (19, "0000052D: weak", "failed", "password"),
        (19, "0000202F: taken", "failed", "duplicate"),
        (19, "some attributes not unique", "failed", "invalid"),
        (68, "00002071: there", "failed", "duplicate"),
        (65, "", "failed", "invalid"),
        (66, "", "failed", "precondition"),
        (32, "", "failed", "not_found"),
        (13, "", "failed", "not_configured"),
        (11, "", "retry", "throttled"),
        (3, "", "retry", "too_slow"),
        (123, "", "failed", "invalid"),
    ],
)
def test_an_answer_is_judged_by_its_numbers(code, info, status, reason):
    trouble = trouble_of(Exception({"result": code, "desc": "Mia Lee", "info": info}))
    assert (trouble.status, trouble.reason, trouble.code) == (status, reason, code)
    note = trouble.outcome(user()).note
    assert "Mia" not in note
    assert note or reason == "too_slow"


def test_what_was_sent_and_not_answered_is_looked_up_or_done_again():
    for error in (Exception({"result": -1, "desc": "down"}), Exception({"desc": "x"}), Exception()):
        assert trouble_of(error).status == "retry"
        assert trouble_of(error, creating=True).status == "unknown"


@pytest.mark.parametrize("data, words", [("533", "disabled"), ("773", "change its password")])
def test_a_refused_sign_in_says_what_is_wrong_with_the_account(data, words):
    info = f"80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data {data}, v"
    assert words in str(trouble_of(Exception({"result": 49, "info": info})))


# ---------------------------------------------------------------- Active Directory


class Wire:
    """A directory of one entry, which remembers what it was told."""

    def __init__(self, entry: Any) -> None:
        self.entry, self.told = entry, []

    def search(self, where: str, condition: str, asked: Any, *, only: bool = False) -> Any:
        self.told.append(("search", where, condition))
        yield [self.entry] if self.entry else []

    def add(self, dn: str, attributes: Any) -> None:
        self.told.append(("add", dn, attributes))

    def replace(self, dn: str, attributes: Any) -> None:
        self.told.append(("replace", dn, attributes))

    def close(self) -> None:
        return


@here
@pytest.mark.parametrize(
    "before, active, after",
    [(512, False, 514), (514, True, 512), (66050, True, 66048), (66048, False, 66050)],
)
def test_an_active_directory_is_told_one_bit_and_keeps_the_others(before, active, after):
    from reverse_etl.targets.ldap.directory import Entry

    guid = bytes(range(16))
    entry = Entry(
        f"CN=x,{BASE}", {"objectguid": [guid], "useraccountcontrol": [str(before).encode()]}
    )
    made = Ldap("ldap", {"kind": "ldap", "dialect": "active_directory", "base": BASE}, declared())
    made._wire = wire = Wire(entry)
    remote_id = "03020100-0504-0706-0809-0a0b0c0d0e0f"
    (outcome,) = made.apply([later(user(), remote_id, "suspend", active=active)])
    assert outcome.status == "applied"
    assert wire.told[0][1] == f"<GUID={guid.hex()}>"
    assert wire.told[-1] == ("replace", entry.dn, {"userAccountControl": [str(after).encode()]})


@here
def test_a_first_password_of_an_active_directory_is_quoted_and_wide(monkeypatch):
    from dataclasses import replace

    from reverse_etl.targets.ldap.directory import Entry

    found = declared()
    columns = [
        replace(one, field="unicodePwd") if one.role == "password" else one
        for one in found["users"].columns
    ]
    found["users"] = replace(found["users"], columns=tuple(columns))
    said = {"kind": "ldap", "dialect": "active_directory", "base": BASE}
    made = Ldap("ldap", said | {"must_change_password": True}, found)
    made._wire = wire = Wire(Entry(f"CN=x,{BASE}", {"objectguid": [bytes(16)]}))
    monkeypatch.setattr(made, "password", lambda change: "kT7m-Wq3x")
    (outcome,) = made.apply([user()])
    assert outcome.status == "applied"
    (told,) = [attributes for kind, _, attributes in wire.told if kind == "add"]
    assert told["unicodePwd"] == ['"kT7m-Wq3x"'.encode("utf-16-le")]
    assert (told["pwdLastSet"], told["userAccountControl"]) == ([b"0"], [b"512"])
    assert told["objectClass"] == [b"user"]


@here
@pytest.mark.parametrize("mark", [{"admincount": [b"1"]}, {"iscriticalsystemobject": [b"TRUE"]}])
def test_administrators_of_an_active_directory_are_never_touched(mark):
    from reverse_etl.targets.ldap.directory import Entry

    made = Ldap("ldap", {"kind": "ldap", "dialect": "active_directory", "base": BASE}, declared())
    made._wire = wire = Wire(Entry(f"CN=x,{BASE}", {"objectguid": [bytes(16)]} | mark))
    (outcome,) = made.apply([later(user(), "0" * 8 + "-0000" * 3 + "-" + "0" * 12, given_name="x")])
    assert (outcome.status, outcome.reason) == ("failed", "role_holder")
    assert {kind for kind, *_ in wire.told} == {"search"}


@here
def test_a_group_whose_members_come_in_parts_is_read_on(monkeypatch):
    """Active Directory gives 1,500 values of an attribute, and says so in the attribute's name."""
    from reverse_etl.targets.ldap.directory import Directory, Entry
    from reverse_etl.targets.ldap.settings import Settings

    members = [f"cn=m{number}".encode() for number in range(3700)]

    def page(self, where, scope, condition, attributes, paging):
        first = next(
            (int(one.split("=")[1].split("-")[0]) for one in attributes if ";range" in one), 0
        )
        last = "*" if first + 1500 >= len(members) else str(first + 1499)
        part = members[first : first + 1500]
        return [Entry("cn=g", {f"member;range={first}-{last}": part, "cn": [b"g"]})], []

    monkeypatch.setattr(Directory, "_page", page)
    wire = Directory("ldap", Settings(kind="ldap"))
    ((entry,),) = wire.search("cn=g", "(objectClass=*)", ["member"])
    assert list(entry.of("member")) == members


@pytest.mark.parametrize("code", [2, 12, 53])
@pytest.mark.parametrize("times", [1, 2])
def test_a_list_whose_cookie_expired_is_read_again_once_and_comes_once(monkeypatch, code, times):
    pytest.importorskip("ldap")
    from ldap.controls import SimplePagedResultsControl

    from reverse_etl.targets.ldap.directory import Directory, Entry
    from reverse_etl.targets.ldap.errors import TroubleError

    asked: list[str] = []

    def page(self, where, scope, condition, attributes, paging):
        asked.append(str(paging.cookie))
        if paging.cookie and sum(map(bool, asked)) <= times:
            raise TroubleError("failed", "precondition", code)
        number = 1 if not paging.cookie else 2
        entry = Entry(
            f"cn={number},{BASE}",
            {"entryuuid": [b"id%d" % number], "employeenumber": [b"p%d" % number]},
        )
        answer = SimplePagedResultsControl(True, size=0, cookie="" if number == 2 else "next")
        return [entry], [answer]

    monkeypatch.setattr(Directory, "_page", page)
    set_up = {"url": "ldaps://d", "base": BASE, "user": "u", "password": "p"}
    set_up["switch"] = {"attribute": "employeeType", "off": "closed"}
    made = Ldap("ldap", set_up, declared())
    made._sleep = lambda seconds: None
    if times == 1:
        assert sorted(seen(made)) == ["id1", "id2"]
        assert asked == ["", "next", "", "next"]
    else:
        with pytest.raises(TargetUnreadableError, match="users"):
            seen(made)
        assert len(asked) == 4


@here
@pytest.mark.long
def test_five_thousand_people_and_a_group_of_all_of_them(directory, server):
    people = [user(number) for number in range(1, 5001)]
    size = directory.batch
    outcomes = [
        one for at in range(0, 5000, size) for one in directory.apply(people[at : at + size])
    ]
    assert {one.status for one in outcomes} == {"applied"}
    (team,) = done(directory, group())
    ties = [
        tie(team, str(one.remote_id), at.key[0]) for one, at in zip(outcomes, people, strict=True)
    ]
    for at in range(0, 5000, size):
        assert {one.status for one in directory.apply(ties[at : at + size])} == {"applied"}
    fresh = target(server)
    assert len(seen(fresh)) == 5001
    assert len([row for row in seen(fresh, "members").values() if row["person_id"]]) == 5000
    fresh.close()
