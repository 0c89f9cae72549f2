import os
import signal
import subprocess
import sys

import pytest

from daskclass.system import signals

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Ctrl-C cannot be sent to one process on Windows")


def test_sigterm_ends_a_block_as_ctrl_c_does():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), signals.until_terminated():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_only_the_first_signal_is_heard():
    before = signal.getsignal(signal.SIGINT)
    ended = []

    def class_that_is_interrupted():
        with signals.until_terminated():
            try:
                signal.raise_signal(signal.SIGINT)
            finally:  # the ending, which takes a while
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGTERM)
                ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        class_that_is_interrupted()
    assert ended
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.skipif(os.name != "posix", reason="a signal of POSIX")
@pytest.mark.parametrize("deaf", [False, True])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_something_starts_is_heard_once_it_has(number, deaf):
    done = []
    with pytest.raises(KeyboardInterrupt), signals.until_terminated():  # noqa: PT012
        with signals.held_back(deaf_children=deaf):
            signal.raise_signal(number)  # to this very thread; to the process, another one may take it a moment later
            done.append("started")
        done.append("went on")
    assert done == ["started"]


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="there are no signal masks")
@pytest.mark.parametrize("deaf", [False, True])
def test_children_are_deaf_to_ctrl_c_where_asked(deaf):
    ask = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    with signals.held_back(deaf_children=deaf):
        child = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == str(deaf)
