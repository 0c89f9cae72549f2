"""What labs say of Dask and no claim measures: facts that a lab has no room to show, each tried here."""

import datetime
import subprocess
import sys
import time
import warnings

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from dask.sizeof import sizeof
from distributed import Client, LocalCluster, Security
from distributed.scheduler import NoValidWorkerError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from daskclass.terminals import Terminals

ONE = {"n_workers": 1, "threads_per_worker": 1, "memory_limit": "500 MiB", "silence_logs": "CRITICAL"}
HERE = {"dashboard_address": "127.0.0.1:0"}


def listening():
    """The addresses at which this process and its children listen."""
    family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    connections = [one for process in family for one in process.net_connections("tcp")]
    return {(one.laddr.ip, one.laddr.port) for one in connections if one.status == psutil.CONN_LISTEN}


@pytest.mark.parametrize(("options", "everywhere"), [({"dashboard_address": ":0"}, True), (HERE, False)])
def test_lab_00_and_06_a_dashboard_is_on_every_address_unless_it_is_told_not_to_be(options, everywhere):
    before = listening()
    with LocalCluster(**ONE, **options):
        addresses = {address for address, _port in listening() - before}
    assert "127.0.0.1" in addresses
    assert (addresses == {"127.0.0.1"}) is not everywhere


def test_lab_01_a_guessed_type_drops_leading_zeros_without_a_word(tmp_path):
    (tmp_path / "codes.csv").write_text("code\n" + "00042\n" * 20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dd.read_csv(tmp_path / "codes.csv").compute(scheduler="sync").code.unique().tolist() == [42]
    given = dd.read_csv(tmp_path / "codes.csv", dtype={"code": "string"})
    assert given.compute(scheduler="sync").code.unique().tolist() == ["00042"]


def test_lab_01_types_are_guessed_from_ten_rows(tmp_path):
    for at in (9, 10):
        numbers = ["1"] * 20
        numbers[at] = "1.5"
        (tmp_path / f"{at}.csv").write_text("number\n" + "\n".join(numbers) + "\n")
    guessed = {at: dd.read_csv(tmp_path / f"{at}.csv").number.dtype for at in (9, 10)}
    assert guessed == {9: "float64", 10: "int64"}


def test_lab_01_other_encodings_and_line_ends_have_to_be_named(tmp_path):
    rows = 20_000
    numbers = pd.DataFrame({"number": range(rows), "name": "é"})
    numbers.to_csv(tmp_path / "wide.csv", index=False, encoding="utf-16")
    (tmp_path / "old.csv").write_bytes(numbers.to_csv(index=False).replace("\n", "\r").encode())

    def read(name, **options):
        return dd.read_csv(tmp_path / name, blocksize="20 kB", **options).compute(scheduler="sync")

    with pytest.raises(UnicodeDecodeError):
        read("wide.csv")
    assert len(read("wide.csv", encoding="utf-16")) == rows
    assert len(read("old.csv")) > rows  # once for each block
    assert read("old.csv", lineterminator="\r").number.tolist() == list(range(rows))


@pytest.mark.parametrize(("partitions", "shuffled"), [(15, False), (16, True)])
def test_lab_02_from_16_partitions_on_an_answer_is_split_and_shuffled(partitions, shuffled):
    frame = dd.from_pandas(pd.DataFrame({"key": ["a", "b"] * 40, "value": 1.0}), npartitions=partitions)
    for options, split in (({}, shuffled), ({"split_out": 1}, False)):
        plan = frame.groupby("key").value.mean(**options).optimize(fuse=False)
        assert (plan.npartitions > 1) is split
        assert any("Shuffle" in type(step).__name__ for step in plan.expr.walk()) is split


def signed(folder, name, authority=None):
    """A key and a certificate of that name, signed by the authority, else by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signer = authority or (subject, key)
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / f"{name}-key.pem").write_bytes(key.private_bytes(*secret))
    return subject, key


def test_lab_06_whoever_has_a_certificate_of_the_authority_is_let_in(tmp_path):
    authority = signed(tmp_path, "authority")
    for name in ("scheduler", "printer-on-the-third-floor"):
        signed(tmp_path, name, authority)

    def security(name):
        certificate, key = str(tmp_path / f"{name}.pem"), str(tmp_path / f"{name}-key.pem")
        roles = {
            f"tls_{role}_{part}": path
            for role in ("scheduler", "worker", "client")
            for part, path in (("cert", certificate), ("key", key))
        }
        return Security(tls_ca_file=str(tmp_path / "authority.pem"), require_encryption=True, **roles)

    with LocalCluster(**ONE, **HERE, protocol="tls://", security=security("scheduler")) as cluster:
        stranger = security("printer-on-the-third-floor")
        with Client(cluster.scheduler_address, security=stranger, set_as_default=False) as client:
            assert client.submit(pow, 2, 5).result() == 32


UPLOAD = """
import sys
from dask.distributed import Client
from distributed.diagnostics.plugin import UploadDirectory

sys.path.insert(0, {folder!r})
with Client({address!r}) as client:
    client.register_plugin(UploadDirectory("{folder}/{name}", mode={mode!r}))
    import {name}
    future = client.submit({name}.more, 7)
    print(future.result(timeout=240) if future.exception(timeout=240) is None else repr(future.exception().__cause__))
"""


def test_lab_06_with_mode_all_the_scheduler_has_an_uploaded_package_as_well(tmp_path):
    said = {}
    with Terminals() as terminals:
        hall = terminals.type("hall", "dask scheduler --host 127.0.0.1 --port 0 --dashboard-address 127.0.0.1:0")
        address = hall.wait_for(r"Scheduler at: +(\S+)", quiet=True)
        where = f"{address} --host 127.0.0.1 --dashboard-address 127.0.0.1:0 --nthreads 1 --local-directory ."
        terminals.type("east", f"dask worker {where}").wait_for("Registered to", quiet=True)
        for mode, name in (("workers", "fees"), ("all", "tolls")):
            (tmp_path / name).mkdir()
            (tmp_path / name / "__init__.py").write_text("def more(number):\n    return number + 1\n")
            code = UPLOAD.format(folder=str(tmp_path), name=name, address=address, mode=mode)
            said[mode] = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip()
    assert said == {"workers": """ModuleNotFoundError("No module named 'fees'")""", "all": "8"}


def test_lab_07_calls_within_a_minute_are_one_generation_for_compute_and_not_for_submit():
    def generations(dask_scheduler):
        return {key: task.priority[1] for key, task in dask_scheduler.tasks.items()}

    with LocalCluster(**ONE, **HERE) as cluster, Client(cluster, set_as_default=False) as client:
        held = []
        for name in ("first", "second"):
            held.append(client.compute(dask.delayed(abs)(-1, dask_key_name=f"compute-{name}")))
            time.sleep(0.2)  # longer than `submit` waits
        for name in ("first", "second"):
            held.append(client.submit(abs, -1, key=f"submit-{name}"))
            time.sleep(0.2)
        client.gather(held)
        seen = client.run_on_scheduler(generations)
    assert seen["compute-first"] == seen["compute-second"] < seen["submit-first"] < seen["submit-second"]


def test_lab_07_a_task_that_no_worker_may_run_fails_when_no_workers_timeout_is_set():
    setting = "distributed.scheduler.no-workers-timeout"
    with (
        dask.config.set({setting: "100 ms"}),
        LocalCluster(**ONE, **HERE) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        nowhere = client.submit(pow, 2, 5, resources={"LICENSE": 1}, pure=False)
        assert isinstance(nowhere.exception(timeout=240), NoValidWorkerError)


def test_lab_10_a_pipeline_counts_as_some_fifty_bytes_until_a_function_is_registered():
    class Model:
        def __init__(self):
            self.weights = np.ones(1_000_000)

    pipeline = make_pipeline(LogisticRegression())
    assert sizeof(pipeline) < 100
    assert sizeof(Model()) < 100
    sizeof.register(Model)(lambda model: model.weights.nbytes)
    assert sizeof(Model()) == 8_000_000
