"""The file system behind s3:// URLs: s3fs, whose every failure of the network is an OSError.

What a bucket refuses s3fs tells as an OSError; that it cannot be reached it tells as botocore or aiohttp do,
whose errors are none. Callers would have to know both, or would take a cable for a mistake of ours. fsspec
uses this wherever a URL begins with s3://, also for Zarr; `storage` registers it.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from typing import Any

import aiohttp
import s3fs
from botocore.exceptions import BotoCoreError, ParamValidationError
from fsspec.asyn import sync_wrapper

__all__ = ["S3FileSystem", "as_os_errors"]


@contextlib.contextmanager
def as_os_errors() -> Iterator[None]:
    """Inside, what keeps us from the bucket is raised as an OSError."""
    try:
        yield
    except ParamValidationError:
        raise  # a mistake of ours
    except (BotoCoreError, aiohttp.ClientError) as error:
        if isinstance(error, OSError):
            raise
        raise OSError(errno.EIO, f"the bucket cannot be reached ({error})") from error


class S3FileSystem(s3fs.S3FileSystem):  # type: ignore[misc]
    """One for each set of options, as fsspec keeps them."""

    async def _call_s3(self, *arguments: Any, **more: Any) -> Any:
        with as_os_errors():
            return await super()._call_s3(*arguments, **more)

    call_s3 = sync_wrapper(_call_s3)

    # Lists are paged, and bodies read, outside of calls: a connection may end in the middle of either.
    async def _lsdir(self, *arguments: Any, **more: Any) -> Any:
        with as_os_errors():
            return await super()._lsdir(*arguments, **more)

    async def _cat_file(self, *arguments: Any, **more: Any) -> Any:
        with as_os_errors():
            return await super()._cat_file(*arguments, **more)

    async def _get_file(self, *arguments: Any, **more: Any) -> Any:
        with as_os_errors():
            return await super()._get_file(*arguments, **more)

    def _open(self, *arguments: Any, **more: Any) -> Any:
        file = super()._open(*arguments, **more)
        if file.readable():
            file.cache.fetcher = as_os_errors()(file.cache.fetcher)
        return file
