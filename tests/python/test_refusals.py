"""What a platform refuses is said in our words: each text and code of the vendors' tables, and a
clock that is off.

The texts are the vendors' own, as their references and those who met them quote them.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import google.auth.exceptions as google_auth
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import problems
from common.clock import Clock, minutes_off
from reverse_etl import check
from reverse_etl.model import Change
from reverse_etl.targets import google, microsoft
from reverse_etl.targets.google import client as google_client
from reverse_etl.targets.microsoft import client as microsoft_client
from reverse_etl.targets.replies import Reply, Verdict, outcome_of, refusals, sign_in_refused

CHANGE = Change("c1", "google", "users", ("k1",), "update", remote_id="r1")

GOOGLE = [
    (400, "invalid", "Invalid Input: primary_user_email", "address"),
    (400, "invalid", "Invalid Given/Family Name: FamilyName", "name"),
    (400, "invalid", "Invalid Password", "password"),
    (400, "invalid", "Invalid Input: custom_schema", "schema"),
    (400, "invalid", "Invalid Input: INVALID_OU_ID", "unit"),
    (400, "invalid", "Invalid Ou Id", "unit"),
    (403, "accessNotConfigured", "Admin SDK API has not been used in project 1 before", "api_off"),
    (403, "domainCannotUseApis", "Domain cannot use apis.", "api_of_domain"),
    (403, "insufficientPermissions", "Request had insufficient authentication scopes.", "scopes"),
    (403, "PERMISSION_DENIED", "Request had insufficient authentication scopes.", "scopes"),
    (403, "forbidden", "Not Authorized to access this resource/api", "permission"),
    (404, "notFound", "Domain not found.", "domain"),
    (404, "notFound", "Resource Not Found: userKey", "not_found"),
    (412, "limitExceeded", "Domain user limit reached.", "no_licence"),
    (412, "conditionNotMet", "Insufficient archived user licenses", "no_archive_licence"),
    (412, "conditionNotMet", "Cyclic memberships not allowed", "cycle"),
    (412, "conditionNotMet", "OrgUnit hierarchy has cycle", "cycle"),
    (412, "adminCannotUnsuspend", "", "closed_by_platform"),
    (400, "failedPrecondition", "Members of a dynamic group cannot be modified.", "dynamic_group"),
]
MICROSOFT = [
    (
        403,
        "Authorization_RequestDenied",
        "Insufficient privileges to complete the operation.",
        "permission",
    ),
    (403, "Directory_QuotaExceeded", "", "quota_exceeded"),
    (
        400,
        "Request_BadRequest",
        (
            "Unable to update the specified properties for on-premises mastered Directory "
            "Sync objects or objects currently undergoing migration."
        ),
        "synced",
    ),
    (
        400,
        "Request_BadRequest",
        (
            "Unable to update the specified properties for objects that have originated "
            "within an external service."
        ),
        "once_synced",
    ),
    (
        400,
        "Request_BadRequest",
        "Insufficient permissions: group has dynamic membership.",
        "dynamic_group",
    ),
    (
        400,
        "Request_BadRequest",
        "Cannot Update a mail-enabled security groups and or distribution list.",
        "mail_group",
    ),
    (
        400,
        "Request_BadRequest",
        "Subscription with SKU x does not have any available licenses.",
        "no_seats",
    ),
    (
        400,
        "Request_BadRequest",
        "License assignment cannot be done for user with invalid usage location.",
        "usage_location",
    ),
    (
        400,
        "Request_BadRequest",
        "License assignment failed because service plans a, b are mutually exclusive",
        "licence_clash",
    ),
    (
        400,
        "Request_BadRequest",
        "License assignment failed because service plan a depends on the service plan(s) b",
        "licence_needs",
    ),
    (
        400,
        "Request_BadRequest",
        (
            "User license is inherited from a group membership and it cannot be removed "
            "directly from the user."
        ),
        "licence_by_group",
    ),
    (
        400,
        "Request_BadRequest",
        (
            "The domain portion of the userPrincipalName property is invalid. You must use "
            "one of the verified domain names in your organization."
        ),
        "domain",
    ),
    (
        400,
        "Request_BadRequest",
        "The specified password does not comply with password complexity requirements.",
        "password",
    ),
    (
        400,
        "Request_BadRequest",
        "Invalid value specified for property 'userPrincipalName' of resource 'User'.",
        "address",
    ),
    (
        400,
        "Request_BadRequest",
        "Invalid value specified for property 'employeeId' of resource 'User'.",
        "value",
    ),
    (
        401,
        "Authorization_IdentityNotFound",
        "The identity of the calling application could not be established.",
        "application",
    ),
    (404, "Request_ResourceNotFound", "Resource 'x' does not exist", "not_found"),
]
IN_GOOGLE, IN_ENTRA = refusals("google", "sign_in"), refusals("microsoft", "sign_in")
SIGN_IN = [
    (
        IN_GOOGLE,
        "invalid_grant",
        (
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable "
            "timeframe. Check your iat and exp values in the JWT claim."
        ),
        "clock_off",
    ),
    (IN_GOOGLE, "invalid_grant", "Invalid JWT Signature.", "key_gone"),
    (IN_GOOGLE, "invalid_grant", "Invalid grant: account not found", "key_gone"),
    (IN_GOOGLE, "invalid_grant", "Invalid email or User ID", "subject"),
    (
        IN_GOOGLE,
        "unauthorized_client",
        (
            "Client is unauthorized to retrieve access tokens using this method, or client "
            "not authorized for any of the scopes requested."
        ),
        "scopes",
    ),
    (IN_GOOGLE, "access_denied", "Requested client not authorized.", "scopes"),
    (IN_GOOGLE, "disabled_client", "The OAuth client was disabled.", "key_gone"),
    (IN_GOOGLE, "admin_policy_enforced", "", "policy"),
    (IN_ENTRA, "7000222", "The provided client secret keys are expired.", "secret_expired"),
    (IN_ENTRA, "7000215", "Invalid client secret provided.", "secret_wrong"),
    (
        IN_ENTRA,
        "700016",
        "Application with identifier x was not found in the directory",
        "application",
    ),
    (IN_ENTRA, "7000112", "Application is disabled.", "application_off"),
    (IN_ENTRA, "700027", "The key used is expired.", "certificate_expired"),
    (IN_ENTRA, "700027", "Client assertion failed signature validation.", "certificate_unknown"),
    (IN_ENTRA, "700024", "Client assertion is not within its valid time range.", "clock_off"),
    (IN_ENTRA, "90002", "Tenant 'x' not found.", "tenant"),
    (IN_ENTRA, "53003", "Access has been blocked by Conditional Access policies.", "policy"),
]


def refused_by_google(status: int, code: str, message: str) -> Reply:
    error = {"code": status, "message": message, "errors": [{"reason": code}]}
    content = json.dumps({"error": error})
    return google_client.reply_of(status, content, {})


def refused_by_graph(status: int, code: str, message: str) -> Reply:
    return microsoft_client.reply_of(status, {"error": {"code": code, "message": message}}, {})


@pytest.mark.parametrize(
    ("reply", "word"),
    [
        *((refused_by_google(*one[:3]), one[3]) for one in GOOGLE),
        *((refused_by_graph(*one[:3]), one[3]) for one in MICROSOFT),
    ],
)
def test_a_refusal_is_said_in_our_words_with_what_to_do(reply: Reply, word: str) -> None:
    outcome = outcome_of(CHANGE, Verdict("failed", "invalid"), reply, "r1")
    row = problems.catalogue()[f"refused_{word}"]
    assert outcome.reason == word
    assert outcome.note == str(reply.refusal) + "; " + problems.action(
        row.code, reply.refusal.values
    )
    assert row.owner and row.action
    assert reply.message not in outcome.note or not reply.message


@pytest.mark.parametrize(("table", "code", "message", "word"), SIGN_IN)
def test_a_sign_in_that_is_refused_is_said_in_our_words(table, code, message, word) -> None:
    found = sign_in_refused(table, Clock(), code, message)
    assert found is not None
    assert found.code == f"refused_{word}"
    assert problems.action(found.code, found.values)


def test_a_value_that_is_not_taken_is_named_by_its_property() -> None:
    reply = refused_by_graph(400, "Request_BadRequest", MICROSOFT[14][2])
    outcome = outcome_of(CHANGE, Verdict("failed", "invalid"), reply, "r1")
    assert "takes no such value for employeeId" in outcome.note


def test_what_an_unknown_refusal_says_is_no_bare_word() -> None:
    reply = refused_by_graph(400, "Request_BadRequest", "Something nobody has met.")
    outcome = outcome_of(CHANGE, Verdict("failed", "invalid"), reply, "r1")
    assert outcome.reason == "invalid"
    assert outcome.note.startswith("a value of this change breaks a rule of the platform")


def test_every_row_of_every_table_has_its_sentence() -> None:
    asked = [("google", "sign_in"), ("google", "api"), ("microsoft", "sign_in")]
    asked += [("microsoft", "api"), ("rest", "sign_in")]
    tables = [refusals(*one) for one in asked]
    assert all(tables)
    assert {row.word for rows in tables for row in rows} <= {
        code.removeprefix("refused_") for code in problems.catalogue()
    }


@pytest.mark.parametrize("kind", [google.Google, microsoft.Microsoft])
def test_what_nobody_may_do_to_an_account_is_told_apart_from_a_permission(kind) -> None:
    """Of an account: it is an administrator's. Of a new one, or a group: a permission is
    missing.
    """
    target = kind("t", {})
    denied = Reply(403, {}, refusal=refused_by_graph(*MICROSOFT[0][:3]).refusal)
    for entity, action, word in (
        ("users", "suspend", "role_holder"),
        ("users", "create", "permission"),
        ("groups", "update", "permission"),
    ):
        change = Change("c", "t", entity, ("k",), action, remote_id="r")
        assert target.refusal(change, denied).code == f"refused_{word}"


# ---------------------------------------------------------------- the clock

NOW = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)


@given(minutes=st.integers(-100_000, 100_000))
def test_a_clock_is_compared_by_the_date_of_an_answer(minutes: int) -> None:
    date = format_datetime(NOW - timedelta(minutes=minutes), usegmt=True)
    assert minutes_off(date, NOW) == minutes


@given(st.one_of(st.none(), st.text()))
def test_a_date_that_is_none_says_nothing_of_the_clock(text: str | None) -> None:
    assert minutes_off(text and f"x{text}", NOW) is None


def clock_off_by(minutes: float) -> Clock:
    clock = Clock()
    clock.told(format_datetime(datetime.now(UTC) - timedelta(minutes=minutes), usegmt=True))
    return clock


@pytest.mark.parametrize(
    ("minutes", "off"),
    [
        (12, "12 minutes ahead of theirs"),
        (-12, "12 minutes behind theirs"),
        (-600, "10 hours behind theirs"),
        (1, ""),
        (-1, ""),
    ],
)
def test_how_far_a_clock_is_off_is_said(minutes: float, off: str) -> None:
    assert clock_off_by(minutes).off == off


@pytest.mark.parametrize(
    "given_up",
    [
        ("invalid_grant", "Invalid JWT Signature."),
        ("invalid_grant", "words nobody knows"),
        ("", ""),
    ],
)
def test_a_sign_in_refused_to_a_clock_that_is_off_says_so_whatever_the_words(given_up) -> None:
    found = sign_in_refused(google_client.SIGN_IN_REFUSALS, clock_off_by(12), *given_up)
    assert str(found).startswith("the clock of this machine is 12 minutes ahead of theirs")


def test_google_hands_on_why_it_gave_no_token() -> None:
    client = google.Google("google", {})._client
    said = {"error": "invalid_grant", "error_description": SIGN_IN[0][2]}
    error = google_auth.RefreshError("invalid_grant: …", said)
    assert client._refused(error).values == {"off": "not what theirs says"}
    client.clock = clock_off_by(-12)
    assert client._refused(error).values == {"off": "12 minutes behind theirs"}


def test_entra_is_told_by_its_number() -> None:
    client = microsoft.Microsoft("microsoft", {})._client
    said = {"error": "invalid_client", "error_codes": [7000222], "error_description": "AADSTS…"}
    assert client._refused(said).code == "refused_secret_expired"
    assert client._refused({"error": "invalid_client"}) is None


def test_a_check_says_that_the_clock_is_off() -> None:
    """It lets us in, and still a person has to set the clock."""
    lines: list[str] = []
    adapter = SimpleNamespace(
        check_connection=lambda: "signed in", clock_off="12 minutes behind theirs", close=int
    )
    assert check.check(["google"], lambda _: adapter, lines.append) == 3
    assert lines[0] == "google: signed in"
    assert lines[1].startswith("google: the clock of this machine is 12 minutes behind theirs")
    adapter.clock_off = ""
    assert check.check(["google"], lambda _: adapter, lines.append) == 0
