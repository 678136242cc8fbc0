"""What setup.cfg cannot say: where ``wsdl_cache/`` is, the data, and the same bytes at each build.

With ``SOURCE_DATE_EPOCH`` set, the same sources make the same sdist and the same wheel, whenever,
wherever and by whomever they are built. ``nox -s package`` shows it.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import time
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.sdist import sdist

EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
"""The time of each file, in seconds since 1970."""


class SameWheel(bdist_wheel):
    """A wheel whose files do not have the permissions that the builder's umask gave them."""

    def write_wheelfile(self, *args: str, **options: str) -> None:
        """Write WHEEL, the last file before they are packed, and set the permissions of all."""
        super().write_wheelfile(*args, **options)
        assert self.bdist_dir is not None
        for path in Path(self.bdist_dir).rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)


class SameSdist(sdist):
    """An sdist without the builder's clock, user and umask."""

    def make_distribution(self) -> None:
        """Pack the sources, and then pack them again without what the builder's machine added."""
        super().make_distribution()
        for name in self.archive_files:
            _pack_again(Path(name))


def _pack_again(path: Path) -> None:
    with tarfile.open(path) as old:
        entries = [(entry, old.extractfile(entry)) for entry in old]
        with (
            io.BytesIO() as result,
            gzip.GzipFile("", "wb", mtime=EPOCH, fileobj=result) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new,
        ):
            for entry, content in entries:
                entry.mtime, entry.mode = EPOCH, 0o755 if entry.isdir() else 0o644
                entry.uid, entry.gid, entry.uname, entry.gname = 0, 0, "", ""
                entry.pax_headers = {}
                new.addfile(entry, content)
            new.close()
            packed.close()
            path.write_bytes(result.getvalue())


setup(
    cmdclass={"bdist_wheel": SameWheel, "sdist": SameSdist},
    packages=[*find_packages(include=["yunxin_soap", "yunxin_soap.*"]), "yunxin_soap.wsdl_cache"],
    package_dir={"yunxin_soap.wsdl_cache": "wsdl_cache"},
    package_data={
        "yunxin_soap": ["py.typed", "locale/*/LC_MESSAGES/*.mo"],
        "yunxin_soap.campaign": ["report.html.j2"],
        "yunxin_soap.django": ["templates/admin/yunxin/*"],
        "yunxin_soap.sandbox.asmx": ["templates/*"],
        "yunxin_soap.sandbox.inbox": ["static/*", "templates/*"],
        "yunxin_soap.wsdl_cache": ["*.wsdl"],
    },
)
