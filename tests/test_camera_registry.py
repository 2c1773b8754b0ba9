import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import Config
from pipeline.runtime.attached_cameras import AttachedError, load_registry, save_registry
from pipeline.runtime.camera_registry import (
    CameraRegistry,
    RefusedError,
    difference,
    merge_patch,
    view,
)
from pipeline.transport.commands import (
    Attach,
    Change,
    CommandError,
    Detach,
    SetEnabled,
    SetTarget,
    SetThreshold,
    arguments_of,
    read_command,
)

PASSWORD = "planted-pass"
DOOR: dict[str, Any] = {
    "source": {"url": "rtsp://{VEDETTE_CAMERA_USER}:{VEDETTE_CAMERA_PASSWORD}@10.0.0.10/sub"}
}


@pytest.fixture(autouse=True)
def _placeholders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEDETTE_CAMERA_USER", "admin")
    monkeypatch.setenv("VEDETTE_CAMERA_PASSWORD", PASSWORD)
    monkeypatch.setenv("VEDETTE_ADMIN_TOKEN", "not-for-cameras")


def file(roots: Path | None = None, **cameras: object) -> Config:
    api = {"enabled": True, "allow_file_roots": [str(roots)] if roots else []}
    return Config.model_validate({"api": api, "alert": {"cooldown": 7}, "cameras": cameras})


def refusal(
    registry: CameraRegistry, command: Attach | Change | Detach | SetEnabled
) -> RefusedError:
    with pytest.raises(RefusedError) as refused:
        registry.after(command)
    return refused.value


def test_attached_camera_inherits_and_keeps_its_placeholders() -> None:
    registry = CameraRegistry.of(file(yard={"source": "yard.mp4"}))
    after = registry.after(Attach(name="door", camera={**DOOR, "alert": {"enter": 1.2}}))
    camera = after.config.cameras["door"]
    assert camera.source.url == f"rtsp://admin:{PASSWORD}@10.0.0.10/sub"
    assert (camera.alert.cooldown, camera.alert.enter) == (7, 1.2)
    assert PASSWORD not in json.dumps(dict(after.attached))
    assert PASSWORD not in repr(after.attached) + json.dumps(view(after, "door", "watching"))
    assert "door" not in registry.cameras, "the old registry is as it was"


def test_change_switch_and_detach() -> None:
    registry = CameraRegistry.of(file()).after(
        Attach(name="door", camera={"source": "synthetic:street"})
    )
    patch: dict[str, Any] = {"alert": {"cooldown": 9}, "source": {"stall_timeout": 3}}
    registry = registry.after(Change(name="door", patch=patch))
    assert registry.cameras["door"].alert.cooldown == 9
    assert registry.cameras["door"].source.url == "synthetic:street"
    area = {"coordinates": "0,0,1,0,1,1"}
    hours = {"timezone": "UTC", "active": ["sat-sun"]}
    patch = {"zones": {"porch": area, "path": area}, "alert": {"schedule": hours}}
    registry = registry.after(Change(name="door", patch=patch))
    registry = registry.after(Change(name="door", patch={"zones": {"path": None}}))
    assert list(registry.cameras["door"].zones) == ["porch"]
    assert registry.cameras["door"].alert.schedule is not None
    registry = registry.after(Change(name="door", patch={"alert": None}))
    assert registry.cameras["door"].alert.cooldown == 7
    assert not registry.after(SetEnabled(name="door", enabled=False)).cameras["door"].enabled
    assert registry.after(Detach(name="door")).cameras == {}


def test_cameras_of_the_file_cannot_be_changed() -> None:
    registry = CameraRegistry.of(file(yard={"source": "yard.mp4"}))
    off = registry.after(SetEnabled(name="yard", enabled=False))
    assert not off.config.cameras["yard"].enabled
    for command in (Change(name="yard", patch={}), Detach(name="yard")):
        assert refusal(registry, command).status == "conflict"
        assert "is defined in the configuration file" in str(refusal(registry, command))
    assert refusal(registry, Attach(name="yard", camera=DOOR)).status == "conflict"
    unknown = refusal(registry, Detach(name="door"))
    assert (unknown.status, str(unknown)) == ("unknown", "camera door: want one of yard")


@pytest.mark.parametrize(
    ("camera", "message"),
    [
        ({}, "camera a: source: missing"),
        ({"source": "rtsp://h/x", "zone": {}}, "camera a: zone: unknown key"),
        (
            {"source": "rtsp://h/x", "alert": {"schedule": {"timezone": "UTC", "active": ["x"]}}},
            'camera a: alert.schedule.active.0: got "x", want days among',
        ),
        ({"source": "rtsp://h/x", "alert": {"exit": 3}}, "camera a: alert: got exit 3 above"),
        ({"source": {"url": "rtsp://h/x", "fps": -1}}, "camera a: source.fps: got -1, want > 0"),
        ({"source": "rtsp://{VEDETTE_ADMIN_TOKEN}@h/x"}, "a name that starts with VEDETTE_CAMERA_"),
        ({"source": "rtsp://{VEDETTE_CAMERA_NONE}@h/x"}, "{VEDETTE_CAMERA_NONE} has no value"),
        ({"source": "/etc/passwd"}, "want a path below one of the folders of api.allow_file_roots"),
        ({"source": "concat:/etc/passwd|x.mp4"}, "want an absolute path, rtsp://… or"),
        ({"source": "file:///etc/passwd"}, "got the scheme 'file'"),
        ({"source": "webcam:0"}, "a webcam can be a camera in the configuration file only"),
        ({"source": f"ftp://u:{PASSWORD}@h/x?key={PASSWORD}"}, "got the scheme 'ftp'"),
    ],
)
def test_invalid_camera_is_refused(camera: dict[str, Any], message: str) -> None:
    refused = refusal(CameraRegistry.of(file()), Attach(name="a", camera=camera))
    assert refused.status == "invalid"
    assert message in str(refused)
    assert PASSWORD not in str(refused)


def test_files_only_below_the_roots(tmp_path: Path) -> None:
    root = tmp_path / "recordings"
    root.mkdir()
    (root / "out").symlink_to("/etc")
    registry = CameraRegistry.of(file(root))

    def attach(url: str) -> CameraRegistry:
        return registry.after(Attach(name="a", camera={"source": url}))

    assert attach(f"{root}/yard.mp4").cameras["a"].source.url == f"{root}/yard.mp4"
    for url in (f"{root}/../x.mp4", f"{root}/out/passwd", f"{root}s/x", "yard.mp4"):
        with pytest.raises(RefusedError, match=r"allow_file_roots|absolute"):
            attach(url)


def test_registry_is_stored_and_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = CameraRegistry.of(file(yard={"source": "yard.mp4"})).after(
        Attach(name="door", camera=DOOR)
    )
    registry = registry.after(SetEnabled(name="yard", enabled=False))
    save_registry(tmp_path, registry)
    path = tmp_path / "cameras.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert PASSWORD not in path.read_text()
    assert [entry.name for entry in tmp_path.iterdir()] == ["cameras.json"]
    assert load_registry(tmp_path, registry.file) == registry

    monkeypatch.delenv("VEDETTE_CAMERA_PASSWORD")
    poorer = load_registry(tmp_path, registry.file)
    assert list(poorer.cameras) == ["yard"]
    assert view(poorer, "door", "")["state"] == "error"
    assert "VEDETTE_CAMERA_PASSWORD" in view(poorer, "door", "")["reason"]
    save_registry(tmp_path, poorer)
    assert "door" in load_registry(tmp_path, registry.file).attached, "not lost for that"

    for damaged in ("", '{"attached": 3}'):
        path.write_text(damaged)
        assert load_registry(tmp_path, registry.file) == CameraRegistry.of(registry.file)
        assert not path.exists()
        [aside] = tmp_path.glob("cameras.json.damaged-*")
        assert aside.read_text() == damaged
        aside.unlink()
    path.write_text('{"version": 2, "attached": {}, "switches": {}}')
    with pytest.raises(AttachedError, match="want version 1, got 2"):
        load_registry(tmp_path, registry.file)


def test_reload_applies_only_changes() -> None:
    before = CameraRegistry.of(
        file(a={"source": "a.mp4"}, b={"source": "b.mp4"}, c={"source": "c.mp4"})
    ).after(Attach(name="door", camera=DOOR))
    for name in ("a", "b"):
        before = before.after(SetEnabled(name=name, enabled=False))
    new = Config.model_validate(
        {
            "api": {"enabled": True},
            "alert": {"cooldown": 7},
            "scoring": {"max_batch": 3},
            "cameras": {
                "a": {"source": "a.mp4"},
                "b": {"source": "other.mp4", "enabled": False},
                "d": {"source": "d.mp4"},
            },
        }
    )
    after = before.reloaded(new)
    change = difference(before, after, new)
    assert (change.added, change.removed) == (("d",), ("c",))
    assert (change.changed, change.unchanged) == (("b",), ("a", "door"))
    assert change.needs_restart == ("scoring",)
    assert not after.cameras["a"].enabled, "the switch holds, as the file says what it said"
    assert after.switches == {"a": False}
    assert after.config.scoring == before.file.scoring


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)
KEYS = st.sampled_from(
    ["source", "url", "enabled", "detect", "fps", "alert", "masks", "zones", "schedule", "adapt"]
)
CAMERAS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
COMMANDS = st.sampled_from(
    ["attach", "change", "detach", "set_enabled", "annotate", "restore", "no"]
)
FIELDS = st.sampled_from(["name", "camera", "patch", "enabled", "event", "label", "note", "scene"])


@settings(max_examples=60)
@given(COMMANDS, st.dictionaries(FIELDS, st.text(max_size=5) | CAMERAS))
def test_any_message_is_a_command_or_refused(name: str, arguments: dict[str, object]) -> None:
    try:
        command = read_command(name, arguments)
    except CommandError:
        return
    assert read_command(name, arguments_of(command)) == command


@settings(max_examples=60)
@given(st.dictionaries(KEYS, CAMERAS, max_size=5), st.dictionaries(KEYS, CAMERAS, max_size=5))
def test_any_camera_is_usable_or_refused(camera: dict[str, Any], patch: dict[str, Any]) -> None:
    registry = CameraRegistry.of(file())
    refused = ""
    try:
        registry = registry.after(Attach.model_construct(name="a", camera=camera))
        registry = registry.after(Change.model_construct(name="a", patch=patch))
    except RefusedError as error:
        refused = error.status
    assert refused in ("", "invalid")
    Config.model_validate(registry.config.model_dump(mode="json"))


@settings(max_examples=60)
@given(st.dictionaries(st.text(max_size=3), JSON), st.dictionaries(st.text(max_size=3), JSON))
def test_patch_is_applied(document: dict[str, Any], patch: dict[str, Any]) -> None:
    merged = merge_patch(document, patch)
    assert merged.keys() == (document.keys() | patch.keys()) - {
        key for key, value in patch.items() if value is None
    }
    assert repr(merge_patch(merged, patch)) == repr(merged)


def test_threshold_set_at_run_time_is_kept_until_the_file_changes_its_own(
    tmp_path: Path,
) -> None:
    before = CameraRegistry.of(
        file(yard={"source": "webcam:0", "alert": {"enter": 1.0, "exit": 0.5}})
    )
    registry = before.after(SetThreshold(name="yard", threshold=2.0)).after(
        Attach(name="door", camera=DOOR)
    )
    registry = registry.after(SetThreshold(name="door", threshold=1.5))
    registry = registry.after(SetEnabled(name="yard", enabled=False))
    alert = registry.cameras["yard"].alert
    assert (alert.enter, alert.exit) == (2.0, 1.0)  # the one as far below the other as before
    assert registry.cameras["door"].alert.enter == 1.5
    save_registry(tmp_path, registry)
    assert load_registry(tmp_path, registry.file) == registry
    same = registry.reloaded(registry.file)
    assert same.cameras["yard"].alert.enter == 2.0
    changed = registry.reloaded(file(yard={"source": "webcam:0", "alert": {"enter": 0.9}}))
    assert changed.cameras["yard"].alert.enter == 0.9
    assert changed.cameras["door"].alert.enter == 1.5
    assert "door" not in registry.after(Detach(name="door")).thresholds
    with pytest.raises(RefusedError, match="camera shed"):
        registry.after(SetThreshold(name="shed", threshold=1.0))


def test_target_set_at_run_time_is_kept_until_the_file_changes_its_own(tmp_path: Path) -> None:
    key = "target_false_alarms_per_day"
    before = CameraRegistry.of(file(yard={"source": "webcam:0", "alert": {key: 1.0}}))
    registry = before.after(SetTarget(name="yard", false_alarms_per_day=5.0))
    registry = registry.after(SetThreshold(name="yard", threshold=2.0))
    registry = registry.after(SetEnabled(name="yard", enabled=False))
    assert registry.cameras["yard"].alert.target_false_alarms_per_day == 5.0
    assert registry.cameras["yard"].alert.enter == 2.0
    save_registry(tmp_path, registry)
    assert load_registry(tmp_path, registry.file) == registry
    assert registry.reloaded(registry.file).targets == {"yard": 5.0}
    changed = registry.reloaded(file(yard={"source": "webcam:0", "alert": {key: 2.0}}))
    assert changed.cameras["yard"].alert.target_false_alarms_per_day == 2.0
    with pytest.raises(RefusedError, match="camera shed"):
        registry.after(SetTarget(name="shed", false_alarms_per_day=1.0))
