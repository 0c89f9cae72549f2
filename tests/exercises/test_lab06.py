"""Exercises of lab 06: every wrong answer that we thought of gets its own advice."""

from pathlib import Path

import pytest
from distributed.security import Security

from daskclass.errors import Problem
from daskclass.exercises import lab06


def files(vault, **instead):
    names = {"tls_ca_file": "ca.pem", "tls_client_cert": "cert.pem", "tls_client_key": "key.pem"} | instead
    return {argument: f"{vault.folder}/{name}" for argument, name in names.items()}


MENDED = {
    "text": (lambda vault: "ca.pem", "should be a `Security"),
    "empty": (lambda vault: Security(), "It has no tls_ca_file, tls_client_cert, tls_client_key."),
    "no key": (lambda vault: Security(tls_ca_file="a", tls_client_cert="b"), "It has no tls_client_key."),
    "no folder": (
        lambda vault: Security(tls_ca_file="ca.pem", tls_client_cert="cert.pem", tls_client_key="key.pem"),
        "`tls_ca_file` isn't a file",
    ),
    "paths": (
        lambda vault: Security(**{name: Path(path) for name, path in files(vault).items()}),
        "should be the path as text",
    ),
    "no path": (lambda vault: Security(**files(vault) | {"tls_ca_file": "x" * 5000}), "`tls_ca_file` isn't a file"),
    "swapped": (
        lambda vault: Security(**files(vault, tls_client_cert="key.pem", tls_client_key="cert.pem")),
        "Still refused",
    ),
    "another authority": (lambda vault: Security(**files(vault, tls_ca_file="other.pem")), "Still refused"),
    "the cluster's own": (lambda vault: vault.security, "That's the cluster's own"),
    "its own authority": (
        lambda vault: Security(**files(vault, tls_ca_file="cert.pem", tls_client_cert="ca.pem")),
        "only because this certificate is its own authority",
    ),
    "falls back": (lambda vault: Security(**files(vault), require_encryption=False), "would also use plain TCP"),
}
SUSPECT = {
    "name": ("bob", "should be a pair"),
    "nobody": (("dora", "memory_limit"), "one of ada, bob, eve"),
    "lists": ((["bob"], "memory_limit"), "Both should be names"),
    "no setting": (("bob", "memory"), "The second should be one of"),
    "healthy": (("eve", "nthreads"), "Eve's workers would run tasks"),
    "status": (("bob", "status"), "Which setting caused it?"),
    "other setting": (("bob", "nthreads"), "When does a worker pause?"),
}


@pytest.mark.parametrize("name", MENDED)
def test_a_client_that_is_still_refused_is_told_more(name, judged, vault):
    answer, advice = MENDED[name]
    verdict = judged(lab06.mended, answer(vault), address=vault.address)
    assert verdict.state == "not yet"
    assert advice in verdict.message


@pytest.mark.parametrize("name", SUSPECT)
def test_a_wrong_suspect_is_told_more(name, judged, three):
    answer, advice = SUSPECT[name]
    verdict = judged(lab06.suspect, answer, three=three)
    assert verdict.state == "not yet"
    assert advice in verdict.message


def test_every_advice_is_reached(unreached, vault, three):
    rows = [(lab06.mended, answer(vault), {"address": vault.address}) for answer, _ in MENDED.values()]
    rows += [(lab06.suspect, answer, {"three": three}) for answer, _ in SUSPECT.values()]
    assert unreached(lab06, rows) == []


def test_certificates_may_be_given_as_text(judged, vault):
    texts = {name: Path(path).read_text() for name, path in files(vault).items()}
    assert judged(lab06.mended, Security(**texts), address=vault.address).state == "right"


def test_a_scheduler_that_is_gone_is_not_the_answers_fault(judged, vault):
    with pytest.raises(Problem, match=r"Nothing answers at tls://127\.0\.0\.1:1 "):
        judged(lab06.mended, Security(**files(vault)), address="tls://127.0.0.1:1")


def test_a_pair_may_be_a_list(judged, three):
    assert judged(lab06.suspect, ["bob", "memory_limit"], three=three).state == "right"


def test_only_one_cluster_does_not_run_tasks(three):
    states = {name: {worker["status"] for worker in workers.values()} for name, workers in three.items()}
    assert states == {"ada": {"running"}, "bob": {"paused"}, "eve": {"running"}}
    assert {worker["memory_limit"] for worker in three["bob"].values()} == {4}
