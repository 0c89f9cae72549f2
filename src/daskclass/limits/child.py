"""The limited process: waits for its orders, runs them, and reports how they ended.

The parent runs this file as a script, so that it imports nothing that the orders don't need. The orders come on
standard input, once the parent has put this process under its limit.
"""

import contextlib
import json
import os
import pickle
import sys


def main() -> int:
    report = os.open(sys.argv[1], os.O_WRONLY)  # now, while there is memory to spare
    orders = pickle.load(sys.stdin.buffer)
    die_with_parent(orders["parent"])
    if orders["rlimit"] is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (orders["rlimit"], orders["rlimit"]))
    reserve = bytearray(2**20)  # so that enough memory is left to report that memory ran out
    try:
        if orders["source"] is not None:
            code = compile(orders["source"], "<cell>", "exec")
            exec(code, {"__name__": "__main__", **pickle.loads(orders["names"])})
        else:
            import cloudpickle

            function, names = cloudpickle.loads(orders["function"])
            function(**names)
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        found = {"error": None, "message": "", "out_of_memory": False}
        status = 0
    except SystemExit as leave:
        status = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
        found = {"error": "SystemExit" if status else None, "message": str(leave.code), "out_of_memory": False}
    except BaseException as error:  # the parent wants to know about any error
        del reserve
        found = {"error": type(error).__name__, "message": str(error)[:1000], "out_of_memory": out_of_memory(error)}
        if orders["rlimit"] is not None and "can't start new thread" in str(error):  # no room for its stack
            found["out_of_memory"] = True
        status = 1
        with contextlib.suppress(MemoryError, OSError):
            sys.excepthook(type(error), error, error.__traceback__)
    os.write(report, json.dumps(found).encode())
    os.close(report)
    return status


def out_of_memory(error: BaseException | None) -> bool:
    """Whether `error`, or one that caused it, says that memory ran out."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, MemoryError):  # NumPy's and Arrow's errors are subclasses
            return True
        if isinstance(error, OSError) and error.errno == 12:  # ENOMEM
            return True
        text = str(error).lower()
        if "out of memory" in text and type(error).__name__ == "ParserError":
            return True
        if isinstance(error, OSError | RuntimeError | ImportError) and (
            "cannot allocate memory" in text or "bad_alloc" in text
        ):
            return True
        error = error.__cause__ or error.__context__
    return False


def die_with_parent(parent: int) -> None:
    """On Linux, ask the kernel to kill this process when the parent dies. Elsewhere, the parent cleans up."""
    if sys.platform != "linux":
        return
    import ctypes
    import signal

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it has died already
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
