"""The tree of errors: what they say and what they carry."""

import pytest

from stilton.domain import errors


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (errors.UserNotFound("bob"), "no user 'bob'"),
        (errors.IndexNotFound("bob/dev"), "The stage bob/dev could not be found."),
        (errors.ProjectNotFound("pkg", "root/pypi"), "The project pkg does not exist on root/pypi."),
        (errors.VersionNotFound("pkg", "9"), "The version 9 of project pkg does not exist."),
        (errors.FileNotFound("+f/a/b/c"), "no such file: +f/a/b/c"),
        (errors.FileNotFound("x", "gone"), "gone: x"),
        (errors.Quarantined("pkg"), "pkg is quarantined, its files are not offered"),
        (errors.UpstreamUnavailable("http://u/", "refused"), "upstream http://u/ is unavailable: refused"),
        (errors.OfflineMode("http://u/", "offline mode"), "upstream http://u/ is unavailable: offline mode"),
        (errors.UpstreamRefused("http://u/x", 403), "error 403 getting http://u/x"),
        (errors.StorageFull("x.whl"), "the server's disk did not take x.whl: no space left"),
        (errors.StorageTrouble("x.whl", "Read-only"), "the server's disk did not take x.whl: Read-only"),
        (errors.Damaged("x.whl", "missing"), "x.whl is damaged (missing): restore it from a backup"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_is_a_sentence_for_people(error: errors.StiltonError, words: str) -> None:
    assert str(error) == words


def test_errors_carry_what_they_are_about() -> None:
    assert errors.UserNotFound("bob").user == "bob"
    assert errors.IndexNotFound("a/b").index == "a/b"
    assert (errors.ProjectNotFound("p", "a/b").project, errors.ProjectNotFound("p", "a/b").index) == ("p", "a/b")
    assert (errors.VersionNotFound("p", "1").project, errors.VersionNotFound("p", "1").version) == ("p", "1")
    assert errors.FileNotFound("x").path == "x"
    assert errors.Quarantined("p").project == "p"
    assert errors.UpstreamUnavailable("u", "w", 7.0).retry_after_s == 7.0
    assert errors.UpstreamRefused("u", 403).status == 403
    assert errors.StorageFull("x").what == "x"


def test_what_is_not_held_says_how_to_get_it_only_in_offline_mode() -> None:
    offline = errors.NotHeld("pkg", "root/pypi")
    down = errors.NotHeld("pkg", "root/pypi", why="upstream is down", is_page=True)

    assert "without --offline-mode" in str(offline)
    assert not offline.is_page
    assert str(down) == "upstream is down: pkg is not held on root/pypi"
    assert down.is_page


@pytest.mark.parametrize("name", ["x" * 10_000, "\n" * 10_000])
def test_an_absurd_name_is_not_repeated_in_full(name: str) -> None:
    assert len(str(errors.BadName(name))) < 500


def test_an_absurd_accept_header_is_not_repeated_in_full() -> None:
    assert len(str(errors.NotAcceptable("x" * 10_000, ("text/html",)))) < 400
