"""Files out of a published npm package, checked against its pinned digest."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import tarfile
import tempfile
from pathlib import Path


def files(package: str, version: str, integrity: str, suffix: str) -> dict[str, bytes]:
    """The files of `package` whose path ends in `suffix`, by path.

    `integrity` is npm's own (`npm view PACKAGE dist.integrity`). Raises ValueError when the
    package is not what it was, OSError or CalledProcessError when npm cannot fetch it.
    """
    wanted = f"{package}@{version}"
    with tempfile.TemporaryDirectory(prefix="triora-npm-") as folder:
        subprocess.run(
            ["npm", "pack", wanted, "--ignore-scripts", "--silent"],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        archive = next(Path(folder).glob("*.tgz"))
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if f"sha512-{digest}" != integrity:
            raise ValueError(f"{wanted} is not what it was: sha512-{digest}")
        with tarfile.open(archive) as packed:
            return {
                member.name: content.read()
                for member in packed
                if member.name.endswith(suffix) and (content := packed.extractfile(member))
            }
