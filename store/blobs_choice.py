"""Where this server's objects lie: the one place that decides between folder and bucket."""

from store.blobs import Blobs, FolderBlobs
from store.settings import StoreSettings


def open_blobs(settings: StoreSettings) -> Blobs:
    """The bucket when one is set, else the folder under the home. Nothing is asked of a bucket yet.

    Raises:
        BlobsAwayError: The folder cannot be used.
    """
    if settings.s3 is None:
        return FolderBlobs(settings.blobs)
    from store.blobs_s3 import S3Blobs  # noqa: PLC0415  # costs a quarter of a second, which a folder need not wait for

    return S3Blobs(settings.s3)
