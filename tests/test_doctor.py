"""`vedette doctor`: what it finds on this machine, and what it says of worse ones."""

import json
import resource
import shutil
import socket
from pathlib import Path

import pytest
import zmq

from pipeline.cli.doctor import doctor
from pipeline.config import TransportSection
from pipeline.config.transport import LAST_FIRST_PORT
from pipeline.doctor import machine, places, software
from pipeline.doctor.check import Check, run_check
from pipeline.runtime.local_engine import data_lock
from pipeline.storage.retention import free_space_problem


@pytest.mark.parametrize("name", ["h264", "hevc", "mjpeg"])
def test_codecs_are_tried(name: str) -> None:
    check = software.codec(name)
    assert check.verdict == "ok"
    assert "3 of 3 frames decoded" in check.found


def test_a_codec_that_decodes_nonsense_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "_round_trip", lambda _, picture: iter([255 - picture] * 3))
    assert software.codec("h264").verdict == "fail"
    assert software.codec("nonsense").verdict == "fail"


def test_weights(tmp_path: Path) -> None:
    check = software.weights("vedette")
    assert check.verdict == "ok"
    assert "identity" in check.found
    shipped = Path(software.__file__).parents[2] / "models" / "weights"
    for suffix in ("json", "safetensors"):
        (tmp_path / f"x.{suffix}").write_bytes((shipped / f"vedette.{suffix}").read_bytes())
    data = bytearray((tmp_path / "x.safetensors").read_bytes())
    data[-5] ^= 1
    (tmp_path / "x.safetensors").write_bytes(data)
    check = software.weights(str(tmp_path / "x"))
    assert check.verdict == "fail"
    assert "the weights are not those of" in check.found


def test_a_configured_accelerator_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert software.accelerator("auto").verdict == "ok"
    assert software.accelerator("cuda").verdict == "fail"


def test_encryption(monkeypatch: pytest.MonkeyPatch) -> None:
    encrypted, open_to_all = TransportSection(kind="tcp"), TransportSection(kind="tcp", curve=False)
    assert software.encryption(encrypted).verdict == "ok"
    assert "with CURVE" in software.encryption(TransportSection()).found
    assert software.encryption(open_to_all).verdict == "warn"
    monkeypatch.setattr(zmq, "has", lambda what: what != "curve")
    check = software.encryption(encrypted)
    assert check.verdict == "fail"
    assert "without CURVE" in check.found
    assert "transport.kind" in check.advice
    assert software.encryption(TransportSection()).verdict == "ok"
    assert "without CURVE" in software.encryption(TransportSection()).found


def test_ports_of_the_transport(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "v.yaml"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        first = min(listening.getsockname()[1], LAST_FIRST_PORT)
        transport = f"transport: {{kind: tcp, port: {first}}}"
        path.write_text(f"{transport}\nmetrics: {{port: 0}}\ncameras: {{a: {{source: x}}}}\n")
        with pytest.raises(SystemExit):
            doctor(path, as_json=False)
    found = capsys.readouterr().out
    assert f"FAIL  port {first} (transport): 127.0.0.1: address already in use" in found
    assert f"port {first + 4} (transport): 127.0.0.1" in found
    assert "ok    encryption: libzmq" in found
    assert "sockets" not in found


def test_clocks() -> None:
    now = 1.8e9
    assert machine.clocks().verdict in ("ok", "warn")
    assert machine.judge_clocks([1.0, 1.0, 2.0], now, True).verdict == "ok"
    assert machine.judge_clocks([1.0, 2.0], now, None).verdict == "ok"
    assert machine.judge_clocks([1.0, 2.0], now, False).verdict == "warn"
    assert machine.judge_clocks([2.0, 1.0], now, True).verdict == "fail"
    assert machine.judge_clocks([1.0, 2.0], 0.0, True).verdict == "fail"


def test_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))
    assert machine.open_files(cameras=4).verdict == "ok"
    few = machine.open_files(cameras=40)
    assert few.verdict == "fail"
    assert "ulimit -n 768" in few.advice


def test_shared_memory(tmp_path: Path) -> None:
    assert machine.shared_memory(tmp_path / "none").verdict == "warn"
    assert machine.shared_memory(tmp_path).verdict == "ok"


def test_memory_for_many_cameras() -> None:
    assert machine.cores_and_memory(cameras=1_000_000).verdict == "warn"


def test_the_data_folder_is_written_and_not_created(tmp_path: Path) -> None:
    check = places.data_folder(tmp_path / "a" / "b")
    assert check.verdict in ("ok", "warn")
    assert "GiB free, writes" in check.found
    assert not list(tmp_path.iterdir())


def test_a_data_folder_that_cannot_be_written() -> None:
    check = places.data_folder(Path("/proc/vedette"))
    assert check.verdict == "fail"
    assert "storage.folder" in check.advice


@pytest.mark.parametrize(
    ("free_gib", "rate", "verdict"),
    [(100, 1e8, "ok"), (100, 1e6, "warn"), (2, 1e8, "warn"), (0.1, 1e8, "fail")],
)
def test_disks(free_gib: float, rate: float, verdict: str) -> None:
    assert places.judge_disk("x", int(free_gib * places.GIB), rate).verdict == verdict


def test_a_volume_too_small_for_its_reserve_is_named(tmp_path: Path) -> None:
    total = shutil.disk_usage(tmp_path).total / 1e9
    check = places.data_folder(tmp_path, min_free_gb=2 * total)
    assert check.verdict == "warn"
    assert "record.min_free_gb" in check.advice
    assert "in all: no clip would ever be written" in check.advice
    assert places.data_folder(tmp_path, min_free_gb=1e-6).advice != check.advice
    assert free_space_problem(5e8, 1e10, 1e9).endswith(
        "lower record.min_free_gb, or move storage.folder"
    )
    assert free_space_problem(2e9, 1e10, 1e9) == ""


@pytest.mark.parametrize(
    ("kind", "verdict"), [("ext4", "ok"), ("nfs4", "fail"), ("cifs", "fail"), ("9p", "warn")]
)
def test_file_systems(tmp_path: Path, kind: str, verdict: str) -> None:
    mounts = f"/dev/a / ext4 rw 0 0\nserver:/x {tmp_path} {kind} rw 0 0\n"
    assert places.file_system(tmp_path / "data", mounts).verdict == verdict


def test_ports(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = listening.getsockname()[1]
        assert places.port("metrics", "127.0.0.1", number, tmp_path).verdict == "fail"
        with data_lock(tmp_path):
            assert places.port("metrics", "127.0.0.1", number, tmp_path).verdict == "ok"
        assert places.port("metrics", "127.0.0.1", number, tmp_path).verdict == "fail"
    assert places.port("metrics", "127.0.0.1", number, tmp_path).verdict == "ok"
    assert places.port("metrics", "192.0.2.1", 0, tmp_path).verdict == "fail"


def test_sockets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert places.temporary_files().verdict == "ok"
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    assert places.temporary_files().verdict == "fail"


def test_a_check_that_raises_fails() -> None:
    def broken() -> Check:
        raise RuntimeError("no\nluck")

    check = run_check("x", broken)
    assert (check.name, check.verdict) == ("x", "fail")
    assert "RuntimeError: no luck" in check.found


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "v.yaml"
    text = f"""
storage: {{folder: {tmp_path / "data"}}}
metrics: {{port: 0}}
cameras: {{a: {{source: "rtsp://cam:s3crt@127.0.0.1/x"}}}}
"""
    path.write_text(text)
    doctor(path, as_json=True)
    well = capsys.readouterr().out
    document = json.loads(well)
    assert {check["verdict"] for check in document["checks"]} <= {"ok", "warn"}, document
    assert document["verdict"] == "ok"
    path.write_text(text + "nonsense: 1\n")
    with pytest.raises(SystemExit) as ended:
        doctor(path, as_json=False)
    bad = capsys.readouterr().out
    assert ended.value.code == 1
    assert "FAIL  configuration: " in bad
    assert "nonsense" in bad
    assert "ok    codec h264: 3 of 3" in bad
    assert "s3crt" not in well + bad
