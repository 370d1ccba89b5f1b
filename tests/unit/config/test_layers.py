import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest

from sidecar.config import OPTIONS, Layer, Option, Settings, load, resolve, settings_of
from sidecar.config.kinds import SWITCH
from sidecar.errors import ConfigError, FlagError


def _settings(flags: list[str] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    return load(["--source", "file:routing.yaml", *(flags or [])], environ or {})


def _refusal(flags: list[str], environ: Mapping[str, str]) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(flags, environ)
    return caught.value


def test_defaults_are_those_of_the_table() -> None:
    """Nothing said, every setting has the default that its option shows."""
    assert _settings() == Settings(source="file:routing.yaml")
    assert _settings().listen == ("127.0.0.1:50051",)
    assert _settings().grace == 10.0


def test_flags_win_over_environment_over_file_over_defaults(tmp_path: Path) -> None:
    """The layers lie over each other, option by option, and each value knows where it is from."""
    file = tmp_path / "sidecar.yaml"
    file.write_text("max-concurrent-calls: 2\nmax-streams: 3\n\nmax-candidates: '4'\n")
    flags = {"config": [str(file)], "max-concurrent-calls": ["9"]}
    values = {
        v.option.name: v
        for v in resolve(flags, {"DC_SIDECAR_MAX_CONCURRENT_CALLS": "7", "DC_SIDECAR_MAX_STREAMS": "8"})
    }
    assert (values["max-concurrent-calls"].texts, values["max-concurrent-calls"].layer) == (("9",), Layer.FLAG)
    assert (values["max-streams"].texts, values["max-streams"].origin) == (("8",), "DC_SIDECAR_MAX_STREAMS")
    assert (values["max-candidates"].texts, values["max-candidates"].layer) == (("4",), Layer.FILE)
    assert values["max-candidates"].origin == f"{file}:4: max-candidates"
    assert values["grace"].layer is Layer.DEFAULT
    settings = settings_of(values.values())
    assert (settings.max_concurrent_calls, settings.max_streams, settings.max_candidates) == (9, 8, 4)


def test_config_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    """DC_SIDECAR_CONFIG names the file as --config does, and an empty variable is as none."""
    file = tmp_path / "sidecar.yaml"
    file.write_text("source: file:x\nlisten: [127.0.0.1:1, 'unix:/run/x']\n")
    settings = load([], {"DC_SIDECAR_CONFIG": str(file), "DC_SIDECAR_SOURCE": ""})
    assert settings.source == "file:x"
    assert settings.listen == ("127.0.0.1:1", "unix:/run/x")


def test_repeatable_options() -> None:
    """A listener a flag; several in a variable, with commas; one layer's replace the other's."""
    assert _settings(["--listen", "a:1", "--listen=b:2"], {"DC_SIDECAR_LISTEN": "c:3"}).listen == ("a:1", "b:2")
    assert _settings([], {"DC_SIDECAR_LISTEN": "c:3, unix:/x"}).listen == ("c:3", "unix:/x")


def test_switches_can_be_turned_off_again() -> None:
    """--no-… wins over a variable that says true."""
    environ = {"DC_SIDECAR_ALLOW_PLAINTEXT": "true"}
    assert _settings([], environ).allow_plaintext
    assert not _settings(["--no-allow-plaintext"], environ).allow_plaintext


@pytest.mark.parametrize(
    ("flags", "environ", "message", "code"),
    [
        (["--grace", "10"], {}, "--grace: found '10', expected a duration such as 500ms, 10s or 1m30s", 2),
        (["--sorce", "x"], {}, "--sorce: no such flag: did you mean --source?", 2),
        (["--max-concurrent-calls"], {}, "--max-concurrent-calls: expected one argument", 2),
        (
            ["--max-concurrent-calls", "1", "--max-concurrent-calls", "2"],
            {},
            "--max-concurrent-calls: found 2 times, expected once",
            2,
        ),
        (["--nacos-password", "x"], {}, "--nacos-password: no such flag: did you mean --nacos-password-file?", 2),
        (["routing.yaml"], {}, "found 'routing.yaml', expected flags only", 2),
        ([], {"DC_SIDECAR_GRACE": "-1s"}, "DC_SIDECAR_GRACE: found '-1s', expected a duration", 78),
        (
            [],
            {"DC_SIDECAR_MAX_STREMS": "1"},
            "DC_SIDECAR_MAX_STREMS: no such variable: did you mean DC_SIDECAR_MAX_STREAMS?",
            78,
        ),
        ([], {"DC_SIDECAR_MAX_DOCUMENT_SIZE": "3GiB"}, "expected a size from 1 byte to 2 GiB", 78),
        ([], {"DC_SIDECAR_LISTEN": "::1:50051"}, "expected host:port, [IPv6 address]:port or unix:/path", 78),
        ([], {"DC_SIDECAR_LOG_LEVEL": "loud"}, "expected debug or info or warning or error", 78),
        ([], {"DC_SIDECAR_NACOS_TLS": "maybe"}, "DC_SIDECAR_NACOS_TLS: found 'maybe', expected true or false", 78),
        (["--tls-cert", "x"], {}, "--tls-cert: expected tls-key beside it, which is not set", 2),
        ([], {}, "no source is set", 78),
    ],
)
def test_errors_name_what_was_found_and_expected(
    flags: list[str], environ: dict[str, str], message: str, code: int
) -> None:
    """A wrong flag ends with 2, everything else with 78; the message names the place and what belongs there."""
    error = _refusal(flags, environ)
    assert message in str(error)
    assert error.exit_code == code
    assert isinstance(error, FlagError) is (code == 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_candidates: 4\n", ":1: max_candidates: no such option: did you mean max-candidates?"),
        ("\nnacos-password: x\n", ":2: nacos-password: no such option: a secret has no place here"),
        ("grace: [1s]\n", ":1: grace: expected a duration"),
        ("grace: 1s\ngrace: 2s\n", "found a second time"),
        ("- grace\n", "expected options, one a line"),
        ("config: other.yaml\n", "config: no such option"),
        ("a: {", "no YAML"),
    ],
)
def test_errors_in_the_file_name_its_line(tmp_path: Path, text: str, message: str) -> None:
    """An error in the file has its path and line."""
    file = tmp_path / "sidecar.yaml"
    file.write_text(text)
    error = _refusal(["--config", str(file)], {})
    assert message in str(error)
    assert str(error).startswith(str(file))
    assert error.exit_code == 78


def test_all_problems_are_told_at_once() -> None:
    """Two mistakes are two lines, and one of them outside the flags makes the exit code 78."""
    error = _refusal(["--grace", "x"], {"DC_SIDECAR_MAX_STREAMS": "0"})
    assert len(str(error).splitlines()) == 2
    assert error.exit_code == 78


@pytest.mark.parametrize("service", ["DC_SIDECAR", "DC_SIDECAR_ADMIN"])
def test_service_links_of_kubernetes_are_not_ours(service: str) -> None:
    """What Kubernetes sets in each container for a service named dc-sidecar stops nothing."""
    names = "SERVICE_HOST SERVICE_PORT SERVICE_PORT_GRPC PORT PORT_50051_TCP PORT_50051_TCP_PROTO PORT_50051_TCP_ADDR"
    assert _settings([], {f"{service}_{name}": "tcp://10.0.0.1:50051" for name in names.split()}) == _settings()


def test_variables_of_the_client_commands_do_not_disturb_serve() -> None:
    """An address for `status` in the sidecar's own environment is no unknown variable."""
    assert _settings([], {"DC_SIDECAR_ADDRESS": "unix:/x", "DC_SIDECAR_CA": "ca.pem"}) == _settings()


def test_secrets_come_from_variables_or_files(tmp_path: Path) -> None:
    """A source gets the secret by its own name, and the file's name too, so that it can read it again."""
    file = tmp_path / "password"
    file.write_text("s3cret\n")
    file.chmod(0o600)
    settings = _settings(["--nacos-password-file", str(file), "--nacos-tls"], {"DC_SIDECAR_NACOS_SECRET_KEY": "k"})
    assert settings.source_options == {
        "nacos-password-file": str(file),
        "nacos-password": "s3cret",
        "nacos-secret-key": "k",
        "nacos-tls": "true",
    }
    assert settings.warnings == ()
    assert "s3cret" not in repr(settings)


def test_secret_that_everybody_can_read_is_warned_of(tmp_path: Path) -> None:
    """A secret file with its read bit for others is used, with a warning that says how to mend it."""
    file = tmp_path / "password"
    file.write_text("s3cret")
    file.chmod(0o644)
    (warning,) = _settings(["--nacos-password-file", str(file)]).warnings
    assert warning == f"--nacos-password-file: {file} is readable by everybody: chmod o-r {file}"


def test_secret_twice_or_missing_is_refused(tmp_path: Path) -> None:
    """A password and a file with one exclude each other; an empty or missing file is named."""
    file = tmp_path / "password"
    both = {"DC_SIDECAR_NACOS_PASSWORD": "s3cret", "DC_SIDECAR_NACOS_PASSWORD_FILE": str(file)}
    error = _refusal(["--source", "file:x"], both)
    assert "found DC_SIDECAR_NACOS_PASSWORD too, expected one of them" in str(error)
    assert "s3cret" not in str(error)
    assert "No such file" in str(_refusal(["--source", "file:x", "--nacos-password-file", str(file)], {}))
    file.touch()
    assert "is empty" in str(_refusal(["--source", "file:x", "--nacos-password-file", str(file)], {}))


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_is_whole(option: Option) -> None:
    """Each row has help that ends with a full stop, and a default that it can read itself."""
    assert option.help.endswith(".")
    assert all(option.kind.read(text) is not None for text in option.default)
    assert bool(option.kind.metavar) is (option.kind is not SWITCH)


def test_every_setting_has_an_option() -> None:
    """Nothing in Settings can be set by only some of the layers."""
    names = {option.name for option in OPTIONS}
    own = {"source_options", "warnings"}
    assert {field.name.replace("_", "-") for field in fields(Settings) if field.name not in own} <= names


def test_every_option_is_documented() -> None:
    """docs/configuration.md has a row for each option, in the words of its help; a new option brings its row."""
    text = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text()
    meanings = dict(re.findall(r"^\| `([\w-]+)` \|[^|]*\| (.*) \|$", text, re.MULTILINE))
    for option in OPTIONS:
        meaning = meanings[option.variable if option.secret else option.name]
        # The page links to others, and says once for all what replaces the file of a secret.
        assert meaning.startswith(option.help.partition(" Or set ")[0]), option.name
