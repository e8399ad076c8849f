"""The settings of an upstream."""

from __future__ import annotations

from pathlib import Path

import pytest

from wildsage.core.errors import SettingsError
from wildsage.core.upstream import S3Upstream, s3_upstream

KEYS = {"WILDSAGE_S3_UPSTREAM_ACCESS_KEY": "key", "WILDSAGE_S3_UPSTREAM_SECRET_KEY": "secret"}


def read(url: str, **further: str) -> S3Upstream:
    named = {f"WILDSAGE_S3_UPSTREAM_{name}": value for name, value in further.items()}
    found = s3_upstream({"WILDSAGE_S3_UPSTREAM": url, **KEYS, **named})
    assert found is not None
    return found


def test_none_is_set() -> None:
    assert s3_upstream({"WILDSAGE_DATA": "/d"}) is None


def test_where_it_is(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.touch()
    found = read("https://s3.eu-west-1.amazonaws.com/", REGION="eu-west-1", ADDRESSING="virtual", CA=str(ca))
    assert (found.scheme, found.port, found.authority) == ("https", 443, "s3.eu-west-1.amazonaws.com")
    assert (found.region, found.virtual_hosted, found.ca) == ("eu-west-1", True, ca)
    assert read("http://[::1]:9000").authority == "[::1]:9000"
    assert read("http://minio:9000").url == "http://minio:9000"
    assert "secret" not in repr(found).replace("secret_key", "")


def test_which_buckets() -> None:
    everything = read("http://minio:9000")
    assert (everything.holds_all, everything.holds("any")) == (True, True)
    some = read("http://minio:9000", BUCKETS="team-*, shared,")
    assert some.buckets == ("team-*", "shared")
    assert [some.holds(name) for name in ("team-1", "shared", "shared2", "own")] == [True, True, False, False]


@pytest.mark.parametrize("url", ["minio:9000", "ftp://minio", "http://", "http://minio/path", "http://a:b@minio"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(SettingsError, match="must be a URL such as"):
        read(url)


@pytest.mark.parametrize(
    ("further", "words"),
    [
        ({"ADDRESSING": "dns"}, "must be path or virtual"),
        ({"CA": "/no/such/file"}, "does not begin with https"),
        ({"SECONDS": "never"}, "number of seconds"),
        ({"SECONDS": "0"}, "number of seconds"),
        ({"BUKETS": "a"}, "WILDSAGE_S3_UPSTREAM_BUKETS is no setting"),
    ],
)
def test_what_cannot_be(further: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        read("http://minio:9000", **further)


def test_nothing_is_guessed() -> None:
    with pytest.raises(SettingsError, match="WILDSAGE_S3_UPSTREAM is not"):
        s3_upstream(KEYS)
    with pytest.raises(SettingsError, match="needs WILDSAGE_S3_UPSTREAM_ACCESS_KEY"):
        s3_upstream({"WILDSAGE_S3_UPSTREAM": "http://minio:9000"})
    with pytest.raises(SettingsError, match="there is none at"):
        read("https://minio:9000", CA="/no/such/file")
