"""An S3 server on the loopback interface, for tests: moto in a thread, a fresh bucket for each test.

The fixture `s3_url` in `conftest.py` is what tests ask for; a process they start reaches the same server,
since address and keys travel in the environment.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import botocore.session
from moto.server import ThreadedMotoServer

from storage.s3 import S3FileSystem

KEYS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
_numbers = itertools.count()


@contextmanager
def server() -> Iterator[str]:
    """A running server's address, such as `http://127.0.0.1:40123`; the port is a free one."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    try:
        host, port = moto.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        moto.stop()


def environment(address: str) -> dict[str, str]:
    """What makes botocore, s3fs and their children talk to the server at `address`."""
    return {**KEYS, "AWS_ENDPOINT_URL": address, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


def new_bucket(address: str) -> str:
    """The URL of an empty bucket that nobody had before."""
    name = f"bucket-{next(_numbers)}"
    client = botocore.session.get_session().create_client(
        "s3",
        endpoint_url=address,
        region_name=KEYS["AWS_DEFAULT_REGION"],
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
    )
    client.create_bucket(Bucket=name)
    return f"s3://{name}"


def forget() -> None:
    """Drop file systems that remember another server."""
    S3FileSystem.clear_instance_cache()
