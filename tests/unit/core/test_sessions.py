import pytest

from wildsage.core import sessions
from wildsage.core.caller import session_of

MASTER = b"m" * 32
CALLER = session_of("000000000000", "Execution", "AROAEXAMPLE", "job-1")


def test_a_session_verifies_itself() -> None:
    credentials = sessions.issue(MASTER, CALLER, 1000.0, 4600.0, policies=('{"Statement":[]}',), tags={"team": "ml"})
    session = sessions.open(MASTER, credentials.token, credentials.access_key, 1001.0)
    assert credentials.access_key.startswith("ASIA")
    assert len(credentials.secret) == 40
    assert session.secret == credentials.secret
    assert session.caller.arn == "arn:aws:sts::000000000000:assumed-role/Execution/job-1"
    assert session.caller.principal == "arn:aws:iam::000000000000:role/Execution"
    assert session.caller.access_key == credentials.access_key
    assert session.policies == ('{"Statement":[]}',)
    assert session.tags == {"team": "ml"}
    assert (session.issued, session.expires) == (1000.0, 4600.0)


def test_an_expired_session_is_refused() -> None:
    credentials = sessions.issue(MASTER, CALLER, 1000.0, 4600.0)
    with pytest.raises(sessions.ExpiredToken):
        sessions.open(MASTER, credentials.token, credentials.access_key, 4600.0)


@pytest.mark.parametrize("token", ["", "x", "ÿ", "AAAA" * 40])
def test_rubbish_is_refused(token: str) -> None:
    with pytest.raises(sessions.InvalidToken):
        sessions.open(MASTER, token, "ASIAX", 0.0)


def test_another_master_or_key_is_refused() -> None:
    credentials = sessions.issue(MASTER, CALLER, 1000.0, 4600.0)
    with pytest.raises(sessions.InvalidToken):
        sessions.open(b"n" * 32, credentials.token, credentials.access_key, 1001.0)
    with pytest.raises(sessions.InvalidToken):
        sessions.open(MASTER, credentials.token, "ASIAOTHER", 1001.0)


def test_no_byte_of_a_token_can_be_changed() -> None:
    credentials = sessions.issue(MASTER, CALLER, 1000.0, 4600.0)
    for place in range(0, len(credentials.token) - 4, 7):
        other = "A" if credentials.token[place] != "A" else "B"
        altered = credentials.token[:place] + other + credentials.token[place + 1 :]
        with pytest.raises(sessions.InvalidToken):
            sessions.open(MASTER, altered, credentials.access_key, 1001.0)
