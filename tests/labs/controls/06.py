"""What makes each claim of lab 06 false."""

CONTROLS = [
    {
        "claim": "an open scheduler port runs whatever code it is sent, in the scheduler's process",
        "cell": "look",
        # it is run here instead
        "source": """
def look_around():
    home = sorted(path.name for path in Path.cwd().iterdir())
    return {"pid": os.getpid(), "secret": os.environ.get("CLASS_SECRET"), "files": home}


client = Client(address)
seen = look_around()
""",
    },
    {
        "claim": "the scheduler turned away a client without a certificate and let the right one in",
        "cell": "tls-start",
        # the scheduler asks nobody for a certificate; all else is as it was
        "source": """
security = Security.temporary()
certificates = {
    "ca.pem": security.tls_ca_file,
    "cert.pem": security.tls_scheduler_cert,
    "key.pem": security.tls_scheduler_key,
    "asks_nobody.py": '''
import ssl

from distributed.security import Security


def listen(self, role, ask=Security.get_listen_args):  # a preload may be loaded twice
    arguments = ask(self, role)
    arguments["ssl_context"].verify_mode = ssl.CERT_NONE
    return arguments


Security.get_listen_args = listen
''',
}
place("vault")
for name, text in certificates.items():
    (terminals.folder / "vault" / name).write_text(text)

files = {"ca-file": "ca.pem", "cert": "cert.pem", "key": "key.pem"}
tls = " ".join(f"--tls-{flag} ../vault/{name}" for flag, name in files.items())
closed, vault = start_scheduler("vault", f"{tls} --preload ./asks_nobody.py")
start_worker("safe", closed, tls)
""",
    },
    {
        "claim": "the scheduler turned away a client without a certificate and let the right one in",
        "cell": "tls-try",
        # nobody has the right certificate
        "source": """
def attempt(address, **credentials):
    try:
        with Client(address, timeout=10, set_as_default=False, **credentials) as guest:
            return guest.submit(pow, 2, 5).result(timeout=240)
    except (OSError, RuntimeError, TypeError) as error:
        answer = f"refused: {type(error).__name__}: {str(error)[-60:]}"
    gc.collect()
    return answer


attempts = {
    "shows nothing": "refused",
    "its certificate": attempt(closed, security=Security.temporary()),
}
""",
    },
    {
        "claim": "with TLS between the processes, the dashboard still answers anybody",
        "cell": "tls-start",
        # the dashboard is given a certificate, too, and does not answer without TLS
        "source": """
security = Security.temporary()
certificates = {
    "ca.pem": security.tls_ca_file,
    "cert.pem": security.tls_scheduler_cert,
    "key.pem": security.tls_scheduler_key,
}
place("vault")
for name, text in certificates.items():
    (terminals.folder / "vault" / name).write_text(text)

files = {"ca-file": "ca.pem", "cert": "cert.pem", "key": "key.pem"}
tls = " ".join(f"--tls-{flag} ../vault/{name}" for flag, name in files.items())
pages = {
    "DASK_DISTRIBUTED__SCHEDULER__DASHBOARD__TLS__CERT": "cert.pem",
    "DASK_DISTRIBUTED__SCHEDULER__DASHBOARD__TLS__KEY": "key.pem",
}
closed, vault = start_scheduler("vault", tls, **pages)
start_worker("safe", closed, tls)
""",
    },
    {
        "claim": "PipInstall reaches every worker, one that comes later, and the scheduler",
        "cell": "install",
        # pip runs once, on the workers of today
        "source": """
import subprocess
import sys


def install(wheel=str(wheel)):
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", wheel], check=True)


client.run(install)
client.run_on_scheduler(install)
""",
    },
    {
        "claim": "usage per tag adds up to the whole, and is what the tasks measured themselves",
        # what was billed stays billed
        "alone": "setup three open-start look tls-start tls-try tags tags-send bill",
        "cell": "tags-send",
        # bob says that he is ada
        "source": """
tasks = []
billed = pd.DataFrame(client.run_on_scheduler(usage), columns=["owner", "seconds"])
whole = -client.run_on_scheduler(all_seconds)

with span("ada"):
    tasks += client.map(work, [5] * 8, owner="ada", key="ada", pure=False)
    tasks += client.map(work, [15] * 4, owner="bob", key="bob", pure=False)
tasks += client.map(work, [5] * 2, owner="default", key="somebody", pure=False)
own = pd.DataFrame(client.gather(tasks)).groupby("owner").seconds.agg(["count", "sum"])
""",
    },
    {
        "claim": "without keys of their own, one user's tasks are on the other's bill",
        # what was billed stays billed
        "alone": "setup three open-start look tags tags-send bill same-function",
        "cell": "same-function",
        # each has a key
        "source": """
def same(number):
    return number


with span("ada, again"):
    hers = client.map(same, range(10), key="hers")
with span("bob, again"):
    his = client.map(same, range(10, 15), key="his")
client.gather(hers + his)

counts = {row["owner"]: row["tasks"] for row in client.run_on_scheduler(usage)}
""",
    },
    {
        "claim": "workers that run already import an uploaded package, but not loose modules",
        "cell": "upload",
        # the folder of modules is not uploaded
        "source": """
package = terminals.folder / "taxes"
package.mkdir(exist_ok=True)
(package / "__init__.py").write_text("VAT = 0.19\\n")


def rate():
    import rates

    return rates.VAT


def tax():
    import taxes

    return taxes.VAT


client.register_plugin(UploadDirectory(str(package)))
at_once = on_each(tax)
start_worker("north", address, **packages)
first = on_each(rate)
""",
    },
    {
        "claim": "workers that run already import an uploaded package, but not loose modules",
        "alone": "setup three open-start look greeting install west upload upload-restart",
        "cell": "upload",
        # what is in the package lies in a folder that has another name
        "source": """
mine = terminals.folder / "mine"
mine.mkdir(exist_ok=True)
(mine / "rates.py").write_text("VAT = 0.07\\n")
package = terminals.folder / "elsewhere"
package.mkdir(exist_ok=True)
(package / "taxes.py").write_text("VAT = 0.19\\n")


def rate():
    import rates

    return rates.VAT


def tax():
    import taxes

    return taxes.VAT


client.register_plugin(UploadDirectory(str(mine), update_path=True))
client.register_plugin(UploadDirectory(str(package)))
at_once = on_each(tax)
start_worker("north", address, **packages)
first = on_each(rate)
""",
    },
]
