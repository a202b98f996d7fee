"""An adapter in the store is whole and unchanged, or it is refused."""

import json
import tarfile
from datetime import UTC, datetime

import fsspec
import numpy as np
import pytest
from safetensors.numpy import save_file

from app.core.errors import ArtifactMismatch, ConfigProblem
from app.core.manifest import MANIFEST, WEIGHTS, Manifest, file_digest
from worker.model import store as stores
from worker.model.store import ModelStore


@pytest.fixture
def folder(tmp_path):
    """An adapter as far as a store looks into it, and a file that is not part of one."""
    made = tmp_path / "trained"
    made.mkdir()
    save_file({"w": np.arange(8, dtype=np.float32)}, made / WEIGHTS)
    (made / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    (made / "train.json").write_text("{}")
    Manifest(
        version="tiny/1",
        base_model="tiny",
        prompt_version="p1",
        text_tokens=10,
        vocabulary={},
        taxonomy_digest="0" * 64,
        answers={},
        calibration={},
        data_digest="0" * 64,
        weights_sha256=file_digest(made / WEIGHTS),
        created_at=datetime(2026, 11, 23, tzinfo=UTC),
    ).save(made)
    return made


@pytest.fixture(params=["file", "memory"])
def url(request, tmp_path):
    yield f"file://{tmp_path}/store" if request.param == "file" else "memory://triora/store"
    fsspec.filesystem("memory").store.clear()


@pytest.fixture
def store(url, tmp_path):
    return ModelStore(url, tmp_path / "cache")


def objects(url):
    system, root = fsspec.url_to_fs(url)
    return sorted(system.ls(root, detail=False)) if system.exists(root) else []


def rewrite(uri, content):
    with fsspec.open(uri, "wb") as target:
        target.write(content)


def test_an_adapter_comes_back_as_it_was_put_and_with_nothing_else(store, folder):
    uri, digest = store.put(folder)
    fetched = store.fetch(uri, digest)
    assert sorted(path.name for path in fetched.iterdir()) == [
        "adapter_config.json",
        WEIGHTS,
        MANIFEST,
    ]
    for path in fetched.iterdir():
        assert path.read_bytes() == (folder / path.name).read_bytes()


def test_the_same_adapter_is_stored_once(store, folder, url):
    assert store.put(folder) == store.put(folder)
    assert len(objects(url)) == 1


def test_an_upload_that_breaks_off_leaves_nothing(store, folder, url, monkeypatch):
    def break_off(folder, target):
        target.write(b"half of it")
        raise ConnectionResetError

    monkeypatch.setattr(stores, "_pack", break_off)
    with pytest.raises(ConfigProblem, match="ConnectionResetError"):
        store.put(folder)
    assert objects(url) == []


def test_nobody_sees_an_adapter_before_it_is_whole(store, folder, url, monkeypatch):
    pack = stores._pack
    seen = []

    def look_while_packing(folder, target):
        pack(folder, target)
        target.flush()
        seen.extend(name for name in objects(url) if name.endswith(".tar"))

    monkeypatch.setattr(stores, "_pack", look_while_packing)
    store.put(folder)
    assert seen == []
    assert [name.endswith(".tar") for name in objects(url)] == [True]


def test_an_adapter_that_was_changed_in_the_store_is_refused(store, folder, tmp_path):
    uri, digest = store.put(folder)
    with fsspec.open(uri, "rb") as source:
        content = source.read()
    rewrite(uri, content.replace(b"LORA", b"lora"))
    with pytest.raises(ArtifactMismatch, match="not the adapter it was"):
        store.fetch(uri, digest)
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_no_adapter_has_is_never_unpacked(store, folder, tmp_path):
    uri, digest = store.put(folder)
    with fsspec.open(uri, "wb") as target, tarfile.open(fileobj=target, mode="w|") as archive:
        archive.add(folder / MANIFEST, arcname="../../escaped.json")
    with pytest.raises(ArtifactMismatch, match="no adapter has"):
        store.fetch(uri, digest)
    assert not list(tmp_path.rglob("escaped.json"))


def test_a_truncated_object_is_told_from_a_missing_one(store, folder):
    uri, digest = store.put(folder)
    rewrite(uri, b"x" * 100)
    with pytest.raises(ArtifactMismatch, match="damaged"):
        store.fetch(uri, digest)
    fsspec.url_to_fs(uri)[0].rm(fsspec.url_to_fs(uri)[1])
    with pytest.raises(ArtifactMismatch, match="TRIORA_MODEL_STORE"):
        store.fetch(uri, digest)


@pytest.mark.parametrize("damage", [b"x" * 100, None])
def test_putting_an_adapter_again_mends_a_damaged_object(store, folder, damage):
    """As the error of whoever finds it damaged says."""
    uri, digest = store.put(folder)
    with fsspec.open(uri, "rb") as source:
        content = source.read()
    rewrite(uri, damage or content.replace(b"LORA", b"lora"))
    store.put(folder)
    assert store.fetch(uri, digest).is_dir()


def test_an_adapter_damaged_on_this_machine_is_fetched_again(store, folder):
    uri, digest = store.put(folder)
    fetched = store.fetch(uri, digest)
    (fetched / WEIGHTS).write_bytes(b"rotten")
    assert (store.fetch(uri, digest) / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()


def test_a_store_that_moved_is_found_by_digest(folder, tmp_path):
    uri, digest = ModelStore(str(tmp_path / "old"), tmp_path / "one").put(folder)
    (tmp_path / "old").rename(tmp_path / "new")
    moved = ModelStore(str(tmp_path / "new"), tmp_path / "two")
    assert moved.fetch(uri, digest).is_dir()


def test_only_the_last_used_adapters_stay_unpacked(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "KEPT_FOLDERS", 1)
    monkeypatch.setattr(stores, "KEPT_SECONDS", -1.0)
    store = ModelStore(str(tmp_path / "store"), tmp_path / "cache")
    first = store.fetch(*store.put(folder))
    (folder / "README.md").write_text("another one")
    second = store.fetch(*store.put(folder))
    assert list((tmp_path / "cache").iterdir()) == [second]
    assert first != second


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: (folder / WEIGHTS).rename(folder / "adapter_model.bin"), WEIGHTS),
        (lambda folder: (folder / "adapter_config.json").unlink(), "adapter_config.json"),
        (lambda folder: (folder / WEIGHTS).write_bytes(b"other"), "SHA-256"),
        (lambda folder: (folder / MANIFEST).write_bytes(b" " * (2**20 + 1)), "bytes"),
    ],
)
def test_what_is_no_adapter_is_not_stored(store, folder, url, spoil, told):
    spoil(folder)
    with pytest.raises(ArtifactMismatch, match=told):
        store.put(folder)
    assert objects(url) == []


def test_weights_that_are_no_safetensors_are_not_stored(store, folder):
    (folder / WEIGHTS).write_bytes(b"pickled, perhaps")
    found = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    found.model_copy(update={"weights_sha256": file_digest(folder / WEIGHTS)}).save(folder)
    with pytest.raises(ArtifactMismatch, match="not a safetensors file"):
        store.put(folder)


@pytest.mark.parametrize("url", ["nonsense://x", "adl://x"])
def test_a_store_nobody_can_reach_is_a_clear_problem(tmp_path, url):
    with pytest.raises(ConfigProblem, match=r"TRIORA_MODEL_STORE|another package"):
        ModelStore(url, tmp_path)


def test_a_directory_that_may_not_be_written_is_a_clear_problem(folder, tmp_path):
    (tmp_path / "store").write_text("a file stands in the way")
    with pytest.raises(ConfigProblem, match="does not answer"):
        ModelStore(str(tmp_path / "store"), tmp_path / "cache").put(folder)
