"""What lab 06 shows of resource managers that are not here, against the packages themselves.

These packages cannot live beside JupyterLab's of this class; ``make test-beside-labs`` makes an environment for them.
"""

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("dask_kubernetes", reason="needs requirements-elsewhere.lock: make test-beside-labs")

[LAB] = (Path(__file__).parents[2] / "labs").glob("06-*.ipynb")


def shown(word):
    """The one block of Python in the lab's text that has this word in it."""
    cells = json.loads(LAB.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    [block] = [block for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL) if word in block]
    return block


def test_kubernetes_is_sent_commands_that_dask_has(monkeypatch):
    import dask_kubernetes.operator as operator

    made = {}
    monkeypatch.setattr(operator, "KubeCluster", lambda **arguments: made.update(arguments))
    was = operator.make_cluster_spec(name="class", image="daskclass:latest", n_workers=2)["spec"]
    assert was["worker"]["spec"]["containers"][0]["args"][0] == "dask-worker"
    assert was["scheduler"]["spec"]["containers"][0]["args"][0] == "dask-scheduler"
    exec(shown("KubeCluster"), {})
    spec = made["custom_cluster_spec"]["spec"]
    assert spec["worker"]["replicas"] == 2
    for role in ("worker", "scheduler"):
        [container] = spec[role]["spec"]["containers"]
        dask, command, *flags = container["args"]
        assert (dask, command) == ("dask", role)
        helped = subprocess.run(
            [sys.executable, "-m", "dask", command, "--help"], check=True, capture_output=True, text=True
        ).stdout
        known = set(re.findall(r"--[a-z-]+", helped))
        assert {flag for flag in flags if flag.startswith("--")} <= known
    assert spec["worker"]["spec"]["containers"][0]["resources"]["limits"]["memory"] == "1280Mi"


def test_kubernetes_takes_the_arguments():
    from dask_kubernetes.operator import KubeCluster

    assert "custom_cluster_spec" in inspect.signature(KubeCluster.__init__).parameters


def test_coiled_takes_the_arguments(monkeypatch):
    import coiled

    real = inspect.signature(coiled.Cluster.__init__)
    asked = {}
    monkeypatch.setattr(coiled, "Cluster", lambda **arguments: asked.update(arguments))
    exec(shown("coiled"), {})
    assert asked["n_workers"] == 2
    assert set(asked) <= set(real.parameters)
    real.bind(None, **asked)


def test_yarn_does_not_import_for_the_reason_that_is_told():
    with pytest.raises(ImportError, match=r"cannot import name 'format_bytes' from 'distributed\.utils'"):
        import dask_yarn  # noqa: F401


@pytest.mark.parametrize(
    ("cloud", "cluster"),
    [("aws", "EC2Cluster"), ("aws", "FargateCluster"), ("azure", "AzureVMCluster"), ("gcp", "GCPCluster")],
)
def test_clouds_have_the_classes_that_lab_05_names(cloud, cluster):
    """Their providers' own packages are not here, so the classes are looked for in the source."""
    import dask_cloudprovider

    folder = Path(dask_cloudprovider.__file__).parent / cloud
    source = "\n".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    assert re.search(rf"^class {cluster}\(", source, flags=re.MULTILINE)
    assert cluster in (folder / "__init__.py").read_text(encoding="utf-8")
