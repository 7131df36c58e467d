"""An index's configuration."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilton.domain import indexes
from stilton.domain.errors import SetupError
from stilton.domain.indexes import Index, MirrorConfig
from stilton.domain.names import IndexName

UPSTREAM = "https://u.example/simple/"
secrets = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="/?#[]:\r\n\t"), min_size=4)


def a_mirror(**keys: Any) -> Index:
    return Index("root", "pypi", {"type": "mirror", "mirror_url": UPSTREAM, **keys})


def test_a_mirror_without_more_keys_takes_the_servers_defaults() -> None:
    config = indexes.mirror_config(a_mirror(), cache_expiry_s=60.0)

    assert config == MirrorConfig(name=IndexName("root/pypi"), url=UPSTREAM, cache_expiry_s=60.0)


def test_a_mirrors_keys_beat_the_servers_defaults() -> None:
    index = a_mirror(
        mirror_cache_expiry="0",
        mirror_no_project_list="yes",
        mirror_use_external_urls=True,
        mirror_ignore_serial_header="TRUE",
    )

    config = indexes.mirror_config(index, cache_expiry_s=60.0)

    assert config.cache_expiry_s == 0.0
    assert config.no_project_list
    assert config.use_external_urls
    assert config.ignore_serial


@pytest.mark.parametrize("expiry", ["-1", "soon", "", "nan", "inf", [], -0.5])
def test_an_expiry_that_is_no_time_is_refused_by_name(expiry: object) -> None:
    with pytest.raises(SetupError, match="mirror_cache_expiry of root/pypi is"):
        indexes.mirror_config(a_mirror(mirror_cache_expiry=expiry), cache_expiry_s=60.0)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "u.example/simple/",
        "ftp://u.example/",
        "file:///etc/passwd",
        "http:///simple/",
        "http://[x",
        "http://u:x/",
        None,
    ],
)
def test_a_mirror_url_that_leads_nowhere_is_refused(url: object) -> None:
    with pytest.raises(SetupError, match="must name a host and start with http:// or https://"):
        indexes.mirror_url(url, "root/pypi")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://user:secret@u.example/",
        "user:secret@u.example",
        "http://user:sec/ret@u.example",
        "http://user:secret@",
        "http://user:se@cret@[x/",
        "https://user:sec\nret/@u.example/",
    ],
)
def test_a_refused_mirror_url_does_not_repeat_credentials(url: str) -> None:
    with pytest.raises(SetupError) as refusal:
        indexes.mirror_url(url, "root/pypi")

    assert "sec" not in str(refusal.value)
    assert "ret@" not in str(refusal.value)


@pytest.mark.parametrize("url", [UPSTREAM, "http://127.0.0.1:8080", "https://user:secret@u.example/x?y=z"])
def test_a_mirror_url_is_kept_as_it_is_written(url: str) -> None:
    assert indexes.mirror_url(url, "root/pypi") == url


@settings(deadline=None, max_examples=60)
@given(secrets, secrets)
def test_credentials_are_never_shown(user: str, password: str) -> None:
    assert indexes.without_credentials(f"https://{user}:{password}@u.example/x/") == "https://u.example/x/"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u.example/simple/", "https://u.example/simple/"),
        ("https://user@u.example/", "https://u.example/"),
        ("https://user:p@ss@u.example/", "https://u.example/"),
        ("https://u.example/a@b/", "https://u.example/a@b/"),
        ("https://u.example?mail=a@b.example/", "https://u.example?mail=a@b.example/"),
        ("https://u.example#a@b", "https://u.example#a@b"),
        ("", ""),
    ],
)
def test_only_what_is_a_user_is_cut_out(url: str, shown: str) -> None:
    assert indexes.without_credentials(url) == shown


@pytest.mark.parametrize("word", ["y", "yes", "T", "true", "ON", "1", 1, True, " yes "])
def test_devpis_words_for_yes_are_yes(word: object) -> None:
    assert indexes.boolean(word) is True


@pytest.mark.parametrize("word", ["n", "no", "F", "false", "OFF", "0", 0, False])
def test_devpis_words_for_no_are_no(word: object) -> None:
    assert indexes.boolean(word) is False


@pytest.mark.parametrize("word", ["", "maybe", "2", None, [], 1.0])
def test_other_words_are_neither(word: object) -> None:
    with pytest.raises(SetupError, match="Unknown boolean value"):
        indexes.boolean(word)


@pytest.mark.parametrize("url", [UPSTREAM, UPSTREAM.rstrip("/")])
def test_a_project_page_lies_below_the_mirrors_url(url: str) -> None:
    assert MirrorConfig(name=IndexName("a/b"), url=url).page_url("pkg") == UPSTREAM + "pkg/"


def test_the_default_mirror_has_these_keys_and_no_others() -> None:
    assert indexes.default_mirror(UPSTREAM, "https://u.example/project/") == {
        "type": "mirror",
        "volatile": False,
        "title": "PyPI",
        "mirror_url": UPSTREAM,
        "mirror_web_url_fmt": "https://u.example/project/{name}/",
    }


def test_everybody_may_see_all_keys_but_credentials() -> None:
    index = a_mirror(mirror_url="https://user:secret@u.example/simple/", title="Ours")

    shown = indexes.public_keys(index)

    assert shown == {"type": "mirror", "mirror_url": UPSTREAM, "title": "Ours"}
    assert index.keys["mirror_url"] == "https://user:secret@u.example/simple/"


def test_an_index_that_is_no_mirror_shows_its_keys() -> None:
    stage = Index("bob", "dev", {"type": "stage", "bases": []})

    assert indexes.public_keys(stage) == {"type": "stage", "bases": []}
    assert not stage.is_mirror
    assert a_mirror().is_mirror
    assert stage.full_name == "bob/dev"
