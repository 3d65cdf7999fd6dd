"""The archive: logs as static files in the object store, signed for, written, exported and read back."""

from shared.archive.archiver import Archiver
from shared.archive.reader import ArchiveError, ArchiveReader, Bundle, CheckpointFile
from shared.archive.signer import Signer, SignerRefused
from shared.archive.snapshot import export

__all__ = [
    "ArchiveError",
    "ArchiveReader",
    "Archiver",
    "Bundle",
    "CheckpointFile",
    "Signer",
    "SignerRefused",
    "export",
]
