"""What makes each claim of lab 22 false."""

_LOGIN = """
cluster = SSHCluster(
    ["head", *NODES],
    scheduler_options={"port": 0, "dashboard_address": ":0", "idle_timeout": "2 hours"},
    worker_options={"nthreads": 1, "memory_limit": "400 MB"},
)
client = Client(cluster)
client.wait_for_workers(len(NODES))


def family():
    parents = [process.name() for process in psutil.Process().parents()]
    return socket.gethostname(), any(name.startswith("sshd") for name in parents)
"""

_START = """
SCRIPT = '''
import os, signal
from dask.distributed import Client, SSHCluster

options = {{"port": 0, "dashboard_address": ":0", "idle_timeout": {idle!r}}}
cluster = SSHCluster(["head", "node1"], scheduler_options=options)
Client(cluster).wait_for_workers(1)
print(cluster.scheduler_address, flush=True)
LAST
'''


def start_and_die(idle=None):
    script = [sys.executable, "-c", SCRIPT.format(idle=idle)]
    died = subprocess.run(script, capture_output=True, text=True)
    return died.stdout.strip()


def alive(address):
    host, port = address.removeprefix("tcp://").split(":")
    with socket.socket() as line:
        return line.connect_ex((host, int(port))) == 0
"""

_DISKS = """
path = Path("/tmp/where.txt")


def read(path):
    return path.read_text() if path.exists() else "no such file"


def write(path):
    path.write_text(socket.gethostname())


def everywhere(function, *arguments):
    found = client.run(function, *arguments)
    return {machine: found[at[machine]] for machine in NODES}


path.write_text("head")
"""

_RACE = """
WAIT = 2.0


def race(megabytes):
    array = client.submit(os.urandom, int(megabytes * 1e6), workers=[at["node3"]], pure=False)
    wait(array)
    began = time.perf_counter()
    busy = client.submit(time.sleep, WAIT, workers=[at["node3"]], pure=False)
    ways = {
        client.submit(len, array, workers=[at[machine]], pure=False): way
        for machine, way in {"node1": "data moves", "node3": "task waits"}.items()
    }
    done = {ways[way]: time.perf_counter() - began for way in as_completed(ways)}
    wait(busy)
    return {"MB": megabytes} | done
"""

_MISSED = """
def missed(machine, how, later=0.0):
    there = len(client.nthreads())
    on(machine, how)
    began = time.perf_counter() + later
    watch.until(lambda: len(client.nthreads()) < there, f"the loss of {machine}")
    return time.perf_counter() - began


def killed_on(machine):
    pids = client.run(lambda: (os.getppid(), os.getpid()), workers=[at[machine]])
    return missed(machine, "kill -9 {} {}".format(*pids[at[machine]]))
"""

CONTROLS = [
    {
        "claim": "on each machine, the process of the cluster descends from its SSH server",
        "cell": "login",
        # processes that the notebook starts itself
        "source": """
from dask.distributed import LocalCluster


def family():
    parents = [process.name() for process in psutil.Process().parents()]
    return socket.gethostname(), any(name.startswith("sshd") for name in parents)


with LocalCluster(2, threads_per_worker=1, dashboard_address=":0") as here, Client(here, set_as_default=False) as mine:
    started = dict([mine.run_on_scheduler(family), *mine.run(family).values()])
""",
    },
    {
        "claim": "on each machine, the process of the cluster descends from its SSH server",
        "cell": "login",
        # on one of them, it doesn't: a service has started it
        "alone": "setup login",
        "source": _LOGIN
        + """
service = f"python -m distributed.cli.dask_worker {cluster.scheduler_address} --nthreads 1 --no-nanny --no-dashboard"
service += " --name service --local-directory /tmp --death-timeout 60"
on("node3", f"setsid nohup {service} > /dev/null 2>&1 < /dev/null &")
client.wait_for_workers(len(NODES) + 1)
started = dict([client.run_on_scheduler(family), *client.run(family).values()])
_, started["node3"] = client.submit(family, workers=["service"], pure=False).result()
client.shutdown()
""",
    },
    {
        "claim": "a cluster outlived its killed notebook and computed; one with a timeout ended",
        "cell": "orphan",
        # a notebook that ends in the usual way closes its cluster
        "alone": "setup orphan orphan-after",
        "source": _START.replace("LAST", "")
        + """

class Nowhere:
    def __enter__(self):
        return self

    def __exit__(self, *_error):
        pass

    def submit(self, *_arguments):
        return self

    def result(self):
        return "nowhere"

    def shutdown(self):
        pass


def Client(address, set_as_default, known=Client):
    return known(address, set_as_default=set_as_default) if alive(address) else Nowhere()
""",
    },
    {
        "claim": "a cluster outlived its killed notebook and computed; one with a timeout ended",
        "cell": "orphan-after",
        # without a timeout, the second one stays as well
        "source": """
address = start_and_die()
with Client(address, set_as_default=False) as finder:
    ran_on = finder.submit(socket.gethostname).result()
    finder.shutdown()
polite = start_and_die()
time.sleep(45)  # longer than the other one's timeout
still = alive(polite)
alive = lambda _address: still
with Client(polite, set_as_default=False) as finder:
    finder.shutdown()
""",
        "alone": "setup orphan orphan-after",
    },
    {
        "claim": "no worker found the notebook's file, and each found its own under the same name",
        "cell": "disks",
        # somebody copies the file to every machine
        "source": _DISKS
        + """
for machine in NODES:
    on("head", f"scp -q {path} {machine}:{path}")
before = everywhere(read, path)
everywhere(write, path)
after = everywhere(read, path) | {"head": read(path)}
everywhere(Path.unlink, path)
""",
    },
    {
        "claim": "no worker found the notebook's file, and each found its own under the same name",
        "cell": "disks",
        # one disk for all of them: what the last one wrote is everywhere
        "source": _DISKS
        + """
before = everywhere(read, path)
everywhere(write, path)
for machine in NODES:
    on("head", f"scp -q node3:{path} {path} && scp -q {path} {machine}:{path}")
after = everywhere(read, path) | {"head": read(path)}
everywhere(Path.unlink, path)
""",
    },
    {
        "claim": "no worker reached a scheduler at 127.0.0.1, and only the workers' logs said so",
        "cell": "never",
        # a scheduler that listens on the network
        "source": """
scheduler = terminals.type("head", "dask scheduler --port 0 --dashboard-address 127.0.0.1:0")
port = scheduler.wait_for(r"Scheduler at: +tcp://[\\d.]+:(\\d+)", 60, quiet=True)
start = f"dask worker tcp://head:{port} --death-timeout 60"
workers = {
    how: terminals.type(how, ["ssh", "node1", f"{start} --{how}"])
    for how in ("nanny", "no-nanny")
}
for worker in workers.values():
    worker.wait_for("Registered to", 60)
came = scheduler.output.count("Register worker")
scheduler.close()
ended = {how: worker.wait(60) for how, worker in workers.items()}
logs = {how: worker.output for how, worker in workers.items()}
""",
    },
    {
        "claim": "asked about the package, the check named both versions, and not the machine",
        "cell": "packages",
        # the same version everywhere
        "alone": "setup packages versions",
        "source": """
PIP = "rm -rf ~/packages; python -m pip install --quiet --no-index --target ~/packages"
for machine, version in {"node1": "2.0", "node2": "2.0", "node3": "2.0"}.items():
    wheel = wheels.make(terminals.folder, "shop", version, f"VERSION = {version!r}\\n")
    on("head", f"scp -q {wheel} {machine}:/tmp/")
    on(machine, f"{PIP} /tmp/{wheel.name}")

other = SSHCluster(
    ["head", *NODES],
    scheduler_options={"port": 0, "dashboard_address": ":0", "idle_timeout": "1 minute"},
    worker_options={"nthreads": 1, "memory_limit": "400 MB"},
    remote_python="PYTHONPATH=~/packages python",
)
guest = Client(other, set_as_default=False)
guest.wait_for_workers(len(NODES))
""",
    },
    {
        "claim": "asked about the package, the check named both versions, and not the machine",
        "cell": "versions",
        # all that was found, machine by machine
        "source": """
usual = []
told = str(guest.get_versions(packages=["shop"]))
""",
    },
    {
        "claim": "asked about the package, the check named both versions, and not the machine",
        "cell": "versions",
        # asked both times
        "source": """
with warnings.catch_warnings(record=True) as asked:
    warnings.simplefilter("always")
    guest.get_versions(check=True, packages=["shop"])
usual = asked
told = "\\n".join(str(warning.message) for warning in asked)
""",
    },
    {
        "claim": "on the fast network, even the largest array moved sooner than node3 was free",
        "cell": "network",
        # a slow network
        "source": _RACE
        + """
on("node3", "tc qdisc replace dev eth0 root tbf rate 80mbit burst 64kb latency 400ms")
near = pd.DataFrame([race(megabytes) for megabytes in (1, 4, 40)])
on("node3", "tc qdisc del dev eth0 root")
""",
    },
    {
        "claim": "below the predicted size the data moved sooner; above it, waiting was faster",
        "cell": "crossover",
        # the network is fast again
        "source": """
on("node3", "tc qdisc del dev eth0 root")
around = [round(crossover * factor, 1) for factor in (0.5, 0.7, 1.6, 2)]
measured = pd.DataFrame([race(megabytes) for megabytes in around])
on("node3", SLOW)
""",
    },
    {
        "claim": "below the predicted size the data moved sooner; above it, waiting was faster",
        "cell": "crossover",
        # a network four times slower than the one that the prediction knows
        "source": """
on("node3", SLOW.replace("80mbit", "20mbit"))
around = [round(crossover * factor, 1) for factor in (0.5, 0.7, 1.6, 2)]
measured = pd.DataFrame([race(megabytes) for megabytes in around])
on("node3", SLOW)
""",
    },
    {
        "claim": "a killed worker was missed at once; an unplugged machine, after the timeout only",
        "cell": "gone",
        # the second one is killed as well
        "alone": "setup login gone",
        "source": _MISSED
        + """
killed = killed_on("node3")
unplugged = killed_on("node2")
""",
    },
    {
        "claim": "a killed worker was missed at once; an unplugged machine, after the timeout only",
        "cell": "gone",
        # the first one is unplugged as well
        "alone": "setup login gone",
        "source": _MISSED
        + """
CUT = "tc qdisc replace dev eth0 root tbf rate 8bit burst 1600 latency 1ms"
BACK = f"sleep 1; {CUT}; sleep 30; tc qdisc del dev eth0 root"
killed = missed("node3", f"nohup sh -c '{BACK}' > /dev/null 2>&1 &", later=1.0)
unplugged = 12.0
_ = watch.until(lambda: machines.answers("node3"), "the return of node3")
""",
    },
]
