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
        "claim": "without its certificate a client is refused, with it accepted",
        "cell": "tls-start",
        # a cluster without TLS lets everybody in
        "source": """
security = Security()
closed, vault = start_scheduler("vault")
start_worker("safe", closed)
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
        "claim": "an uploaded directory is on the path of workers that start after it, only",
        "cell": "upload",
        # nobody uploads it
        "source": """
def rate():
    import rates

    return rates.VAT


start_worker("north", address, **packages)
first = on_each(rate)
""",
    },
]
