import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from pipeline.config import Config, ConfigError, config_schema, load_config
from pipeline.config.substitution import SubstitutionError, substitute

REPOSITORY = Path(__file__).parents[1]
PASSWORD = "planted-pass"


def load(folder: Path, text: str) -> Config:
    file = folder / "vedette.yaml"
    file.write_text(text, encoding="utf-8")
    return load_config(file)


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    prefix = f"{folder / 'vedette.yaml'}"
    return [line.removeprefix(prefix) for line in str(caught.value).splitlines()]


def test_defaults_and_shorthand(tmp_path: Path) -> None:
    config = load(tmp_path, "cameras: {door: {source: clip.mp4}}")
    camera = config.cameras["door"]
    assert camera.source.url == "clip.mp4"
    assert camera.detect.size_hw == (240, 320)
    assert (camera.adapt.frames, camera.adapt.interval, camera.adapt.calibrate) == (10, 1.0, 60.0)
    assert (config.metrics.host, config.metrics.port) == ("127.0.0.1", 9464)


def test_camera_settings_override_those_for_all_cameras(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """
        detect: {fps: 5, height: 120}
        cameras:
          a: {source: a.mp4, detect: {fps: 2}}
          b: {source: b.mp4}
        """,
    )
    assert (config.cameras["a"].detect.fps, config.cameras["a"].detect.height) == (2.0, 120)
    assert (config.cameras["b"].detect.fps, config.cameras["b"].detect.height) == (5.0, 120)


def test_keys_are_read_as_text(tmp_path: Path) -> None:
    config = load(tmp_path, "cameras: {on: {source: a.mp4}, 7: {source: b.mp4}}")
    assert list(config.cameras) == ["on", "7"]


def test_anchors_and_merge_keys(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """
        cameras:
          a: &a {source: a.mp4, detect: {fps: 2}}
          b: {<<: *a, source: b.mp4}
        """,
    )
    assert config.cameras["b"].source.url == "b.mp4"
    assert config.cameras["b"].detect.fps == 2.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("detect: {fps: -5}", ":1: detect.fps: got -5, want > 0"),
        ("detect: {fps: yes}", ":1: detect.fps: got true, want a number"),
        ("alert: {cooldown: .inf}", ":1: alert.cooldown: got inf, want a finite number"),
        ("detect: {width: 1.5}", ":1: detect.width: got 1.5, want a whole number"),
        ("detekt: {}", ':1: detekt: unknown key; did you mean "detect"?'),
        ("detect: 3", ":1: detect: got 3, want a mapping"),
        ("alert: {exit: 2}", ":1: alert: got exit 2 above enter 1, want exit ≤ enter"),
        ("metrics: {port: 70000}", ":1: metrics.port: got 70000, want ≤ 65535"),
        ("scoring: {device: tpu}", ":1: scoring.device: got \"tpu\", want 'auto', 'cpu' or 'cuda'"),
        ("colour: {}", ":1: colour: unknown key; want one of detect, adapt, alert, scoring"),
        ("api: {tls: {cert: x, key: y, certificate: z}}", ":1: api.tls.cert: unknown key; want"),
        ("{detect: {fps: 1}, detect: {fps: 2}}", ":1: detect: occurs twice; first on line 1"),
    ],
)
def test_each_mistake_names_line_key_got_and_wanted(
    tmp_path: Path, text: str, message: str
) -> None:
    if text.startswith("{"):
        text = f"{text[:-1]}, cameras: {{a: {{source: a.mp4}}}}}}"
    else:
        text += "\ncameras: {a: {source: a.mp4}}"
    (line,) = problems(tmp_path, text)
    assert line.startswith(message)


@pytest.mark.parametrize(
    ("camera", "message"),
    [
        ("{}", "cameras.a.source: missing"),
        ("", "cameras.a: got nothing, want a mapping"),
        ("{source: ''}", 'cameras.a.source: source address: want "rtsp://…"'),
        ("{source: 'rtsp://:80/x'}", "cameras.a.source: source address: want rtsp://"),
        ("{source: ftp://host/x}", "got the scheme 'ftp'"),
        ("{source: 'rtsps://host/x'}", "got the scheme 'rtsps'"),
        ("{source: 'synthetic:mall'}", "cameras.a.source: synthetic"),
        ("{source: 'synthetic:street?seed=x'}", "seed: want a whole number >= 0, got 'x'"),
        ("{source: x, zone: {}}", 'cameras.a.zone: unknown key; did you mean "zones"?'),
        ("{source: x, zones: {p: {coordinates: '0,0,1'}}}", "cameras.a.zones.p.coordinates: has 3"),
        ("{source: x, zones: {p: {coordinates: '0,0,1,1,.5,.5'}}}", "zones.p: has no area, want"),
        ("{source: x, zones: {p: {enter: 1}}}", "cameras.a.zones.p.coordinates: missing"),
        ("{source: x, zones: {p: {coordinates: '0,0,1,0,1,1', enter: 0}}}", "enter: got 0, want >"),
        (
            "{source: x, zones: {p: {coordinates: '0,0,1,0,1,1', min_duration: -1}}}",
            "cameras.a.zones.p.min_duration: got -1, want ≥ 0",
        ),
        ("{source: x, zones: {'a b': {coordinates: '0,0,1,0,1,1'}}}", 'got "a b", want a name of'),
        ("{source: x, masks: {m: {coordinates: '0,0,1'}}}", "cameras.a.masks.m.coordinates: has 3"),
        ("{source: x, masks: {m: {coordinates: '0,0,1,1,2,0'}}}", "want every number from 0 to 1"),
        ("{source: x, alert: {cooldown: -1}}", "cameras.a.alert.cooldown: got -1, want ≥ 0"),
    ],
)
def test_mistakes_of_a_camera(tmp_path: Path, camera: str, message: str) -> None:
    (line,) = problems(tmp_path, f"cameras:\n  a: {camera}")
    assert line.startswith(":2: cameras.a")
    assert message in line


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("[]", "alert.schedule: got a list, want a mapping"),
        ("{active: [sat]}", "alert.schedule.timezone: missing"),
        ("{timezone: UTC}", "alert.schedule.active: missing"),
        ("{timezone: UTC, active: []}", "alert.schedule.active: got a list, want at least one"),
        ("{timezone: UTC, active: sat}", 'alert.schedule.active: got "sat", want a '),
        ("{timezone: UTC, active: [sat], on: 1}", "alert.schedule.on: unknown key; want one of"),
        (
            "{timezone: Europe/Berln, active: [sat]}",
            'alert.schedule.timezone: got "Europe/Berln", want a name of a time zone, such as "Eu',
        ),
        ("{timezone: ../../etc/passwd, active: [sat]}", 'timezone: got "../../etc/passwd", want a'),
        ("{timezone: Europe, active: [sat]}", 'alert.schedule.timezone: got "Europe", want a name'),
        (
            "{timezone: UTC, active: [sat, mon-fry]}",
            'alert.schedule.active.1: got "mon-fry", want days among mon, tue, wed, thu, fri, ',
        ),
        ("{timezone: UTC, active: ['18:00-25:00']}", "want hours from 00:00 to 24:00"),
        ("{timezone: UTC, active: ['18:60-19:00']}", "want hours from 00:00 to 24:00"),
        ("{timezone: UTC, active: ['24:00-06:00']}", "want a beginning before 24:00"),
        ("{timezone: UTC, active: ['mon 08:00-08:00']}", "want two different hours; a whole day"),
        ("{timezone: UTC, active: ['mon 18:00']}", "want days, hours or both, such as"),
        ("{timezone: UTC, active: ['']}", "want days, hours or both, such as"),
    ],
)
def test_mistakes_of_a_schedule_are_reported_once_at_their_place(
    tmp_path: Path, schedule: str, message: str
) -> None:
    (line,) = problems(tmp_path, f"alert: {{schedule: {schedule}}}\ncameras: {{a: {{source: x}}}}")
    assert line.startswith(":1: alert.schedule")
    assert message in line
    camera = f"cameras:\n  a: {{source: x, alert: {{schedule: {schedule}}}}}"
    (line,) = problems(tmp_path, camera)
    assert line.startswith(":2: cameras.a.alert.schedule")
    assert message in line


def test_a_camera_has_its_own_schedule_or_none(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """
        alert: {schedule: {timezone: Europe/Berlin, active: ["mon-fri 18:00-07:00", sat-sun]}}
        cameras:
          a: {source: x}
          b: {source: x, alert: {schedule: null}}
          c: {source: x, alert: {schedule: {timezone: UTC, active: [sun]}}}
        """,
    )
    schedules = [camera.alert.schedule for camera in config.cameras.values()]
    assert schedules[0] is not None
    assert schedules[0].active == ["mon-fri 18:00-07:00", "sat-sun"]
    assert schedules[1] is None
    assert schedules[2] is not None
    assert schedules[2].timezone == "UTC"
    adapter = TypeAdapter(Config)
    assert adapter.validate_json(adapter.dump_json(config)) == config


def test_lowest_score_at_which_an_event_may_begin(tmp_path: Path) -> None:
    zones = "zones: {p: {coordinates: '0,0,1,0,1,1'}, q: {coordinates: '0,0,1,0,1,1', enter: 2}}"
    config = load(
        tmp_path,
        f"""
        cameras:
          a: {{source: x, alert: {{enter: 1.5}}}}
          b: {{source: x, {zones}, alert: {{enter: 1.5}}}}
          c: {{source: x, {zones}, alert: {{enter: 3}}}}
          d: {{source: x, {zones.replace("p: {coordinates: '0,0,1,0,1,1'}, ", "")}}}
          e: {{source: x, {zones}, alert: {{enter: 1.5, only_zones: false}}}}
        """,
    )
    lowest = {name: camera.lowest_enter for name, camera in config.cameras.items()}
    assert lowest == {"a": 1.5, "b": 1.5, "c": 2.0, "d": 2.0, "e": 1.5}


def test_all_mistakes_at_once_and_inherited_ones_once(tmp_path: Path) -> None:
    lines = problems(
        tmp_path,
        """detect: {fps: 0}
cameras:
  a: {source: a.mp4}
  b: {source: b.mp4, enabled: maybe}
  c d: {source: c.mp4}
""",
    )
    assert lines == [
        ":1: detect.fps: got 0, want > 0",
        ':4: cameras.b.enabled: got "maybe", want true or false',
        ':5: cameras.c d: got "c d", want a name of 1 to 64 letters, digits, "_" or "-"',
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ": the file is empty; want a configuration"),
        (b"# only a comment\n", ": the file is empty; want a configuration"),
        (b"cameras: [1, 2\nx: y", ":2: not valid YAML: "),
        (b"a: 1\nb: \xff", ": not UTF-8 text at line 2; want a YAML file in UTF-8"),
        (b"a: \x00", ": not valid YAML: a character that is not allowed"),
        (b"- 1", ":1: got a list, want a mapping"),
        (b"cameras: {}", ":1: cameras: got a mapping, want at least one"),
        (b"cameras: &c {a: *c}", ":1: cameras.a: an alias of a mapping or list that contains it"),
    ],
)
def test_file_that_is_no_configuration(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "vedette.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert str(caught.value).startswith(f"{file}{message}")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="is a folder; want a YAML file"):
        load_config(tmp_path)


def test_substitution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEDETTE_PASSWORD", PASSWORD)
    monkeypatch.setenv("VEDETTE_FPS", "4")
    config = load(
        tmp_path,
        'detect: {fps: "{VEDETTE_FPS}"}\n'
        'cameras: {a: {source: "rtsp://u:{VEDETTE_PASSWORD}@host/{x}"}}',
    )
    assert config.detect.fps == 4.0
    assert config.cameras["a"].source.url == f"rtsp://u:{PASSWORD}@host/{{x}}"


def test_secret_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "VEDETTE_TOKEN").write_text("from a file\n")
    assert substitute("<{VEDETTE_TOKEN}>", tmp_path) == "<from a file>"
    with pytest.raises(SubstitutionError, match="VEDETTE_OTHER} has no value"):
        substitute("{VEDETTE_OTHER}", tmp_path)


def test_placeholder_without_value_or_with_another_name(tmp_path: Path) -> None:
    lines = problems(
        tmp_path, 'cameras:\n  a: {source: "{VEDETTE_NOWHERE}"}\n  b: {source: "{HOME}"}'
    )
    assert len(lines) == 2
    assert "want an environment variable VEDETTE_NOWHERE or a file" in lines[0]
    assert lines[1] == ":3: cameras.b.source: got {HOME}, want a name that starts with VEDETTE_"


@pytest.mark.parametrize(
    "source",
    [
        f'"ftp://user:{PASSWORD}@host/x"',
        '"ftp://user:{VEDETTE_PASSWORD}@host/x"',
        f'"ftp://host/x?user=u&password={PASSWORD}"',
        f'["rtsp://user:{PASSWORD}@host"]',
        f'{{url: "rtsp://u:{PASSWORD}@h", transport: "{{VEDETTE_PASSWORD}}"}}',
        f'"rtsp://user:{PASSWORD}@host" x',
        f'"rtsp://user:{PASSWORD}@host',
    ],
)
def test_errors_never_show_a_password(
    tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VEDETTE_PASSWORD", PASSWORD)
    assert PASSWORD not in "\n".join(problems(tmp_path, f"cameras: {{a: {{source: {source}}}}}"))


def test_errors_never_show_the_value_of_a_secret_key(tmp_path: Path) -> None:
    lines = problems(
        tmp_path,
        """mqtt: {user: u, password: 123456789}
webhooks:
  x: {url: "ftp://host/planted-path", secret: planted}
  y: {url: "http://u:planted@host/planted-path", secret: 1234567890123456789}
  z: {url: "http://host:port/planted-path"}
apprise: {p: {url: [planted]}}
cameras: {a: {source: x}}
""",
    )
    assert sorted(lines) == [
        ":1: mqtt.password: got ***, want text",
        ":3: webhooks.x.secret: got ***, want text of at least 16 characters",
        ":3: webhooks.x.url: webhook address: want http:// or https://, got the scheme 'ftp'",
        ":4: webhooks.y.secret: got ***, want text",
        ":4: webhooks.y.url: webhook address: want no user or password in it; use `secret`",
        ":5: webhooks.z.url: webhook address: want http://host[:port]/path or https://…",
        ":6: apprise.p.url: got a list, want text",
    ]


@pytest.mark.parametrize(
    ("mqtt", "message"),
    [
        ("{password: p}", "mqtt: got a password without a user, want both or none"),
        ("{ca: ca.pem}", "mqtt: got ca without tls, want tls: true"),
        ("{topic_prefix: 'a/#'}", 'got "a/#", want letters, digits, "_" and "-", in levels'),
        ("{port: 0}", "mqtt.port: got 0, want ≥ 1"),
        ("{discovery: {prefix: ''}}", "mqtt.discovery.prefix: got"),
    ],
)
def test_mistakes_of_mqtt(tmp_path: Path, mqtt: str, message: str) -> None:
    (line,) = problems(tmp_path, f"mqtt: {mqtt}\ncameras: {{a: {{source: x}}}}")
    assert message in line


def test_url_is_in_the_json_but_not_in_the_repr(tmp_path: Path) -> None:
    config = load(tmp_path, f'cameras: {{a: {{source: "rtsp://u:{PASSWORD}@host"}}}}')
    assert PASSWORD not in repr(config)
    adapter = TypeAdapter(Config)
    assert adapter.validate_json(adapter.dump_json(config)) == config


def test_committed_schema_is_current() -> None:
    committed = (REPOSITORY / "docs" / "config.schema.json").read_text(encoding="utf-8")
    assert committed == config_schema()
    assert json.loads(committed)["required"] == ["cameras"]


def test_example_loads_and_shows_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEDETTE_CAMERA_USER", "user")
    monkeypatch.setenv("VEDETTE_CAMERA_PASSWORD", "pass")
    config = load_config(REPOSITORY / "deploy" / "vedette.example.yaml")
    defaults = Config.model_validate({"cameras": {"any": {"source": "x"}}})
    shown = config.model_dump(exclude={"cameras"})
    assert shown == defaults.model_dump(exclude={"cameras"})
    assert config.cameras["front_door"].alert.cooldown == 120


def test_validate_command(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from pipeline.cli.main import app

    good = tmp_path / "vedette.yaml"
    good.write_text("cameras: {a: {source: x}, b: {source: y, enabled: false}}")
    result = CliRunner().invoke(app, ["validate", "-c", str(good)])
    assert result.exit_code == 0
    assert result.output == "OK: 1 camera (a), 1 disabled\n"
    good.write_text("cameras: {a: {sauce: x}}")
    result = CliRunner().invoke(app, ["validate", "-c", str(good)])
    assert result.exit_code == 1
    assert isinstance(result.exception, ConfigError)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////var/lib/vedette/events.sqlite",
        "sqlite:///events.sqlite",
        f"postgresql://vedette:{PASSWORD}@db:5433/vedette?sslmode=require",
        "postgresql://vedette@/vedette?host=/run/postgresql",
    ],
)
def test_store_urls(tmp_path: Path, url: str) -> None:
    config = load(tmp_path, f'store: {{url: "{url}"}}\ncameras: {{a: {{source: a.mp4}}}}')
    assert config.store.url == url
    assert PASSWORD not in repr(config)


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://vedette:{PASSWORD}@db/vedette",
        f"postgresql://vedette:{PASSWORD}@db",
        f"postgresql://vedette:{PASSWORD}@/vedette",
        f"postgresql://vedette:{PASSWORD}@db:port/vedette",
        f"postgresql+psycopg2://vedette:{PASSWORD}@db/vedette",
        f"postgresql://db/vedette?user=vedette&password={PASSWORD}",
        "sqlite:///",
        "sqlite://events.sqlite",
        "events.sqlite",
    ],
)
def test_invalid_store_urls_never_show_the_password(tmp_path: Path, url: str) -> None:
    (line,) = problems(tmp_path, f'store: {{url: "{url}"}}\ncameras: {{a: {{source: a.mp4}}}}')
    assert line.startswith(":1: store.url: got ")
    assert "want " in line
    assert PASSWORD not in line


@pytest.mark.parametrize(
    ("transport", "message"),
    [
        ("kind: pgm", 'transport.kind: got "pgm", want '),
        ("host: localhost", 'transport.host: got "localhost", want a numeric address'),
        ("host: 0.0.0.0", 'transport.host: got "0.0.0.0", want one address of this machine'),
        ("host: '::'", 'transport.host: got "::", want one address of this machine'),
        ("host: 224.0.0.1", 'transport.host: got "224.0.0.1", want one address of this machine'),
        ("port: 65532", "transport.port: got 65532, want ≤ 65531"),
        ("curve: auto", 'transport.curve: got "auto", want true or false'),
        ("key: x", "transport.key: unknown key"),
    ],
)
def test_mistakes_of_the_transport(tmp_path: Path, transport: str, message: str) -> None:
    (line,) = problems(tmp_path, f"transport: {{{transport}}}\ncameras: {{a: {{source: a.mp4}}}}")
    assert line.startswith(f":1: {message}")


def test_tcp_is_encrypted_by_default(tmp_path: Path) -> None:
    for host in ("127.0.0.1", "10.0.0.7", "fd00::7"):
        text = f'transport: {{kind: tcp, host: "{host}"}}\ncameras: {{a: {{source: a.mp4}}}}'
        assert load(tmp_path, text).transport.curve
