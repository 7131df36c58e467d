"""devpi's spelling of what this server knows."""

import json
from typing import Any

from stilton.domain.files import File, Project, by_version
from stilton.domain.indexes import Index
from stilton.domain.names import IndexName, ProjectName
from stilton.render import devpi_json

SHA = "0123456789abcdef" * 4
BASE = "http://localhost:3141/root/pypi/"


def shown(project: Project) -> dict[str, Any]:
    return {
        version: devpi_json.mirrored("http://localhost:3141", IndexName("root/pypi"), project.name, version, files)
        for version, files in by_version(project).items()
    }


def test_a_reply_has_type_and_result_together_and_ends_with_a_newline() -> None:
    assert devpi_json.reply("list:x", ["a"]) == b'{\n  "type": "list:x",\n  "result": [\n    "a"\n  ]\n}\n'


def test_a_reply_may_be_a_message_only() -> None:
    assert json.loads(devpi_json.reply(message="done")) == {"message": "done"}


def test_a_reply_may_have_no_result_to_show() -> None:
    assert json.loads(devpi_json.reply("x", None, "why")) == {"type": "x", "result": None, "message": "why"}


def test_a_user_is_shown_without_password_and_without_credentials_of_mirrors() -> None:
    index = Index("root", "pypi", {"type": "mirror", "mirror_url": "https://a:secret@u.example/simple/"})

    shown = devpi_json.user_config({"username": "root", "pwhash": "secret", "password": "secret"}, [index])

    assert shown == {
        "username": "root",
        "indexes": {"pypi": {"type": "mirror", "mirror_url": "https://u.example/simple/"}},
    }


def test_a_project_is_shown_by_version_with_a_link_per_file() -> None:
    wheel = File(filename="pkg-1.0-py3-none-any.whl", hashes={"sha256": SHA}, requires_python=">=3")
    sdist = File(filename="pkg-1.0.tar.gz", url="http://u.example/x/pkg-1.0.tar.gz", yanked="broken")
    other = File(filename="pkg-2.0+local.tar.gz", hashes={"md5": SHA[:32]}, yanked=True)
    unclear = File(filename="pkg.tar.gz")

    config = shown(Project(name=ProjectName("pkg"), files=(wheel, sdist, other, unclear)))

    assert config == {
        "1.0": {
            "name": "pkg",
            "version": "1.0",
            "requires_python": ">=3",
            "yanked": "broken",
            "+links": [
                {
                    "rel": "releasefile",
                    "href": BASE + "+f/012/3456789abcdef/pkg-1.0-py3-none-any.whl",
                    "hash_spec": f"sha256={SHA}",
                    "hashes": {"sha256": SHA},
                },
                {"rel": "releasefile", "href": BASE + "+e/http_u.example_x/pkg-1.0.tar.gz"},
            ],
        },
        "2.0+local": {
            "name": "pkg",
            "version": "2.0+local",
            "yanked": True,
            "+links": [
                {
                    "rel": "releasefile",
                    "href": BASE + "+f/012/3456789abcdef/pkg-2.0+local.tar.gz",
                    "hash_spec": f"md5={SHA[:32]}",
                    "hashes": {"md5": SHA[:32]},
                }
            ],
        },
    }


def test_a_project_without_files_has_no_versions_to_show() -> None:
    assert shown(Project(name=ProjectName("pkg"), versions=("1.0",))) == {}
