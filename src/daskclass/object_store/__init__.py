"""What is an object store asked? An S3 server on this machine that counts, and that can be told to answer badly."""

from daskclass.object_store.proxy import Request
from daskclass.object_store.store import ObjectStore

__all__ = ["ObjectStore", "Request"]
