"""An S3 server on this machine, which counts what it's asked, and can be told to answer badly."""

from daskclass.object_store.proxy import Request
from daskclass.object_store.store import ObjectStore

__all__ = ["ObjectStore", "Request"]
