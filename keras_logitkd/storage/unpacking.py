"""What a file may become when it is unpacked."""

import zipfile

from keras_logitkd.storage.errors import DataError

LIMIT = 8 * 2**30  # bytes


def check_zip(path):
    """Raises DataError where a zip archive (.npz, .keras) would unpack to more than `LIMIT` bytes.

    Readers take no more of a member than it declares, so that this is all of them. BadZipFile or
    OSError say that it is no archive, or cannot be read.
    """
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > LIMIT:
        raise DataError(f"{path} would unpack to {size} bytes. Allowed: up to {LIMIT}")
