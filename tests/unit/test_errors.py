"""The kinds of errors, their text, and what becomes of a password in it."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah import errors
from howdah.errors import (
    BadInput,
    Cannot,
    CouldNot,
    Denied,
    HowdahError,
    StatementFailed,
    TimedOut,
    Unreachable,
    Unsupported,
    from_database,
    without_password,
)


def test_text_has_message_detail_and_hint() -> None:
    error = BadInput("no such rule", detail="'wrap'", hint="howdah check --list")
    assert str(error) == "no such rule\n'wrap'\nTry: howdah check --list"
    assert str(BadInput("no such rule")) == "no such rule"
    assert error.args == ("no such rule",)


def test_every_kind_says_whether_a_retry_may_work() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, HowdahError) and kind is not HowdahError
    ]
    assert len(kinds) >= 10
    for kind in kinds:
        assert issubclass(kind, CouldNot) != issubclass(kind, Cannot), kind
        assert kind.retryable == issubclass(kind, CouldNot)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (psycopg.errors.InsufficientPrivilege, Denied),
        (psycopg.errors.InvalidPassword, Denied),
        (psycopg.errors.InvalidCatalogName, BadInput),
        (psycopg.errors.LockNotAvailable, TimedOut),
        (psycopg.errors.QueryCanceled, TimedOut),
        (psycopg.errors.FeatureNotSupported, Unsupported),
        (psycopg.errors.AdminShutdown, Unreachable),
        (psycopg.errors.CannotConnectNow, Unreachable),
        (psycopg.errors.ConnectionFailure, Unreachable),
        (psycopg.errors.SerializationFailure, CouldNot),
        (psycopg.errors.DeadlockDetected, CouldNot),
        (psycopg.errors.TooManyConnections, CouldNot),
        (psycopg.errors.UniqueViolation, StatementFailed),
        (psycopg.errors.SyntaxError, StatementFailed),
    ],
)
def test_the_code_decides(kind: type[psycopg.Error], expected: type[HowdahError]) -> None:
    misleading = kind("permission denied, deadlock, timeout, password=secret")
    found = from_database(misleading)
    assert type(found) is expected
    assert "secret" not in str(found)
    assert kind.sqlstate and kind.sqlstate in found.detail


def test_without_a_code_there_is_no_connection() -> None:
    assert type(from_database(psycopg.OperationalError("gone"))) is Unreachable
    assert type(from_database(psycopg.InterfaceError("closed"))) is StatementFailed
    assert from_database(psycopg.OperationalError()).message == ""


def test_every_code_is_one_that_postgresql_has() -> None:
    ours = {code for code in errors._BY_CODE if code.startswith("HD")}  # raised by our functions
    for code in errors._BY_CODE.keys() - ours:
        assert psycopg.errors.lookup(code).sqlstate == code


words = st.text(st.characters(codec="ascii", exclude_categories=["Cc", "Z"]), min_size=1)
plain = st.from_regex(r"[A-Za-z0-9_.-]{1,12}", fullmatch=True)
secrets = st.from_regex(r"S[A-Za-z0-9!#$%^&*()+=_.-]{3,12}", fullmatch=True)


@given(user=plain, secret=secrets, host=plain)
def test_no_password_of_a_uri_survives(user: str, secret: str, host: str) -> None:
    text = without_password(f"failed: postgresql://{user}:{secret}@{host}/shop?x=1")
    assert text == f"failed: postgresql://{user}:***@{host}/shop?x=1"


@given(secret=st.text(min_size=1))
def test_no_quoted_password_survives(secret: str) -> None:
    quoted = secret.replace("\\", "\\\\").replace("'", "\\'")
    text = without_password(f"host=db password = '{quoted}' dbname=shop")
    assert text == "host=db password = *** dbname=shop"


@given(secret=words.filter(lambda text: "'" not in text and "\\" not in text and "@" not in text))
def test_no_bare_password_survives(secret: str) -> None:
    text = without_password(f"host=db password={secret} dbname=shop")
    assert text == "host=db password=*** dbname=shop"


@given(st.from_regex(r"[A-Za-z0-9 .,/]*", fullmatch=True))
def test_other_text_is_untouched(text: str) -> None:
    assert without_password(text) == text
