"""The files of the page: scripts and styles.

Their addresses hold a digest of all of them. So a browser may keep them, compiled, and asks for
others as soon as one of them has changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "static"
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}

KEPT = "private, max-age=31536000, immutable"
"""The Cache-Control of these files: their address never gets other content."""


@lru_cache(maxsize=1)
def static_files() -> Mapping[str, tuple[bytes, str]]:
    """Return the content and the type of each file, by its address relative to the page's."""
    contents = {path.name: path.read_bytes() for path in sorted(_FOLDER.iterdir())}
    digest = hashlib.sha256(b"".join(contents.values())).hexdigest()[:12]
    return {
        f"static/{digest}/{name}": (content, _TYPES[Path(name).suffix])
        for name, content in contents.items()
    }
