"""The files in clusters/ agree with Ray's own schema, with each other and with constraints.txt. Nothing is launched."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.util import accelerators

ROOT = Path(__file__).resolve().parent.parent
CLUSTERS = ROOT / "clusters"
FILES = sorted(path for path in CLUSTERS.rglob("*") if path.is_file())
PINS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
RAY = PINS["ray"]
UNPINNED = ("volume-claim.yaml", "Dockerfile.dockerignore", "regtune.service", "slurm-service.sbatch")
LAUNCHER = ("local", "aws", "gcp")
KUBERAY = ("rayjob", "raycluster")

try:
    from ray.autoscaler._private.util import prepare_config, validate_config
except ImportError as missing:  # private: it may move with any release
    moved = pytest.mark.skip(reason=f"Ray {RAY} has its launcher's checks elsewhere: {missing}")
else:
    moved = pytest.mark.skipif(False, reason="")


def read(path: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((CLUSTERS / path).read_text())
    return loaded


def cluster_spec(name: str) -> dict[str, Any]:
    """Return the RayCluster's spec of a manifest, also that inside a RayJob."""
    spec: dict[str, Any] = read(f"kuberay/{name}.yaml")["spec"]
    inner: dict[str, Any] = spec.get("rayClusterSpec", spec)
    return inner


def pods(name: str) -> Iterator[dict[str, Any]]:
    spec = cluster_spec(name)
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        yield group["template"]["spec"]


def starts(config: dict[str, Any], role: str) -> list[str]:
    return [line for line in config[f"{role}_start_ray_commands"] if re.search(r"\bray start\b", line)]


# --- all files


def test_every_kind_of_cluster_is_there() -> None:
    there = {str(path.relative_to(CLUSTERS)) for path in FILES}
    assert there == {
        "README.md", "Dockerfile", "Dockerfile.dockerignore", "slurm.sbatch", "local.yaml", "aws.yaml", "gcp.yaml",
        "kuberay/rayjob.yaml", "kuberay/raycluster.yaml", "kuberay/volume-claim.yaml", "kuberay/service.yaml",
        "regtune.service", "slurm-service.sbatch",
    }  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_versions_are_those_of_the_constraints(path: Path) -> None:
    text = path.read_text()
    named = re.findall(r"\b(ray|torch|torchvision)(?:\[[\w,]+\])?==([\w.]+)", text)
    named += [("ray", version) for version in re.findall(r"rayproject/ray:([\d.]+)", text)]
    named += [("ray", version) for version in re.findall(r"regtune:ray-([\d.]+)", text)]
    named += [("ray", version) for version in re.findall(r"(?:rayVersion: |ray, version |Ray )(\d+\.\d+\.\d+)", text)]
    named += [("torch", version) for version in re.findall(r"torch (\d+\.\d+\.\d+)", text)]
    assert {(name, version, PINS[name]) for name, version in named if version != PINS[name]} == set()
    assert named or path.name in UNPINNED


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_nightly_nothing_dead_nothing_open(path: Path) -> None:
    text = path.read_text()
    if path.name == "service.yaml":  # see test_the_service_is_reached_with_a_token_only
        text = text.replace("--host, 0.0.0.0, ", "", 1)
    for word in ("rayproject/ray-ml", "nightly", "3.0.0.dev0", "0.0.0.0", "ray-wheels", "index-url", ":latest"):  # noqa: S104  # looked for
        assert word not in text, f"{path.name} says {word}"


def test_every_python_of_the_images_may_run_regtune() -> None:
    tags = {tag for path in FILES for tag in re.findall(r"rayproject/ray:[\d.]+(\S*)", path.read_text())}
    assert len(tags) == 1, f"one image, so that head and workers have the same Python: {tags}"
    version = re.fullmatch(r"-py3(\d+)-cpu", tags.pop())
    assert version
    assert int(version[1]) >= 11


# --- ray up


@moved
@pytest.mark.parametrize("name", LAUNCHER)
def test_ray_accepts_the_file(name: str) -> None:
    validate_config(prepare_config(read(f"{name}.yaml")))


@moved
def test_ray_refuses_a_file_with_a_misspelt_word() -> None:
    """So the check above is one."""
    config = read("aws.yaml")
    config["available_node_types"]["gpu"]["max_worker"] = 4
    with pytest.raises(Exception, match="max_worker"):
        validate_config(prepare_config(config))


@moved
@pytest.mark.parametrize("name", LAUNCHER)
def test_no_default_of_ray_is_left_that_installs_or_opens_something(name: str) -> None:
    prepared = prepare_config(read(f"{name}.yaml"))
    ran = {key: " ; ".join(value) for key, value in prepared.items() if key.endswith("commands")}
    for key, text in ran.items():
        assert "3.0.0.dev0" not in text, key
        assert "0.0.0.0" not in text, key  # noqa: S104  # looked for
    for role in ("head", "worker"):
        assert f"ray[default,tune]=={RAY}" in ran[f"{role}_setup_commands"]
        installs = re.findall(r"pip install.*?(?: ; |$)", ran[f"{role}_setup_commands"])
        assert installs
        assert all("--constraint ~/regtune/constraints.txt" in line for line in installs)


@pytest.mark.parametrize("name", LAUNCHER)
def test_head_and_workers_start_with_a_token_and_the_dashboard_on_loopback(name: str) -> None:
    config = read(f"{name}.yaml")
    [head], [worker] = starts(config, "head"), starts(config, "worker")
    for line in (head, worker):
        assert re.search(r"RAY_AUTH_MODE=token \S*ray start", line)
    assert "--dashboard-host=127.0.0.1" in head
    assert "--address=$RAY_HEAD_IP:6379" in worker
    assert "--port=6379" in head
    tokens = [remote for remote, here in config["file_mounts"].items() if here == "~/.ray/auth_token"]
    assert [token.rpartition(".ray/")[2] for token in tokens] == ["auth_token"]


@pytest.mark.parametrize("name", LAUNCHER)
def test_what_is_mounted_is_what_the_build_needs(name: str) -> None:
    mounts = read(f"{name}.yaml")["file_mounts"]
    sources = {here for here in mounts.values() if not here.startswith("~")}
    assert sources == build_inputs()
    for remote, here in mounts.items():
        assert here.startswith("~") or remote.endswith(f"/regtune/{here}")


def build_inputs() -> set[str]:
    """Return what `pip install .` reads: all of it must be there, or the build fails on the machine."""
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {"pyproject.toml", "README.md", "LICENSE", "constraints.txt", *built["packages"], *built["force-include"]}
    assert all((ROOT / name).exists() for name in needed)
    return needed


@pytest.mark.parametrize("name", ["aws", "gcp"])
def test_the_head_keeps_no_trials_and_the_workers_are_cheap(name: str) -> None:
    config = read(f"{name}.yaml")
    types = config["available_node_types"]
    head = types.pop(config["head_node_type"])
    assert head["resources"] == {"CPU": 0}
    assert head["max_workers"] == 0
    assert "spot" not in str(head)
    assert "preemptible" not in str(head)
    [worker] = types.values()
    assert worker["resources"]["GPU"] >= 1
    assert worker["labels"]["ray.io/accelerator-type"] in vars(accelerators).values()
    assert worker["max_workers"] <= config["max_workers"]
    spot = {
        "aws": worker["node_config"].get("InstanceMarketOptions") == {"MarketType": "spot"},
        "gcp": {"preemptible": True} in worker["node_config"].get("scheduling", []),
    }
    assert spot[name]
    assert "--gpus all" in config["docker"]["worker_run_options"]


@pytest.mark.parametrize("name", ["aws", "gcp"])
def test_results_lie_on_the_heads_disk_not_in_its_container(name: str) -> None:
    config = read(f"{name}.yaml")
    assert "-v /home/ubuntu/regtune-results:/home/ray/regtune-results" in config["docker"]["head_run_options"]
    assert config["auth"]["ssh_user"] == "ubuntu"
    assert "mkdir -p ~/regtune-results" in config["initialization_commands"]


# --- Kubernetes


@pytest.mark.parametrize(("name", "kind"), [("rayjob", "RayJob"), ("raycluster", "RayCluster")])
def test_manifests_name_their_kind_and_one_version(name: str, kind: str) -> None:
    manifest = read(f"kuberay/{name}.yaml")
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", kind)
    assert cluster_spec(name)["rayVersion"] == RAY
    for pod in pods(name):
        for container in pod["containers"]:
            assert container["image"].endswith(f":ray-{RAY}")


@pytest.mark.parametrize("name", KUBERAY)
def test_all_pods_want_a_token(name: str) -> None:
    assert cluster_spec(name)["authOptions"] == {"mode": "token"}
    for pod in pods(name):
        [container] = pod["containers"]
        assert {"name": "RAY_AUTH_MODE", "value": "token"} in container["env"]


@pytest.mark.parametrize("name", KUBERAY)
def test_the_head_pod_keeps_no_trials_and_can_write_to_the_claim(name: str) -> None:
    spec = cluster_spec(name)
    assert spec["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}
    head, worker = pods(name)
    claim = read("kuberay/volume-claim.yaml")
    assert (claim["apiVersion"], claim["kind"]) == ("v1", "PersistentVolumeClaim")
    claims = {
        volume["name"]: volume["persistentVolumeClaim"]["claimName"]
        for volume in head["volumes"]
        if "persistentVolumeClaim" in volume
    }
    assert list(claims.values()) == [claim["metadata"]["name"]]
    mounts = {mount["name"]: mount["mountPath"] for mount in head["containers"][0]["volumeMounts"]}
    assert mounts[next(iter(claims))] == "/results"
    assert head["securityContext"]["fsGroup"] == 100, "the group of the user of Ray's images"
    assert "volumes" not in worker, "workers share nothing but the cluster"


@pytest.mark.parametrize("name", KUBERAY)
def test_the_autoscaler_may_add_and_remove_workers(name: str) -> None:
    spec = cluster_spec(name)
    assert spec["enableInTreeAutoscaling"] is True
    [group] = spec["workerGroupSpecs"]
    assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"] < 100
    _, worker = pods(name)
    resources = worker["containers"][0]["resources"]
    assert resources["limits"] == resources["requests"]
    assert int(resources["limits"]["nvidia.com/gpu"]) >= 1


def test_a_rayjob_may_be_tried_again() -> None:
    """Each try is a new cluster, so what it reads and writes lies on volumes, and nothing of it is in the image."""
    spec = read("kuberay/rayjob.yaml")["spec"]
    words = spec["entrypoint"].split()
    assert words[:2] == ["regtune", "run"]
    assert words[words.index("--address") + 1] == "auto"
    mounts = {mount["mountPath"]: mount["name"] for mount in next(pods("rayjob"))["containers"][0]["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in next(pods("rayjob"))["volumes"]}
    assert "persistentVolumeClaim" in volumes[mounts[words[words.index("--results") + 1]]]
    assert "configMap" in volumes[mounts[str(Path(words[2]).parent)]]
    assert spec["backoffLimit"] >= 1
    assert spec["activeDeadlineSeconds"] > 0


def test_a_rayjob_goes_away_in_one_way() -> None:
    """KubeRay refuses deletion rules beside the older two."""
    spec = read("kuberay/rayjob.yaml")["spec"]
    assert "deletionStrategy" not in spec
    assert spec["shutdownAfterJobFinishes"] is True
    assert spec["ttlSecondsAfterFinished"] > 0


# --- the image


def test_the_image_gets_what_the_build_needs_and_nothing_else() -> None:
    text = (CLUSTERS / "Dockerfile").read_text()
    copied = {word for line in re.findall(r"^COPY --\S+ (.*) \S+$", text, flags=re.MULTILINE) for word in line.split()}
    ignore = (CLUSTERS / "Dockerfile.dockerignore").read_text().splitlines()
    assert copied == build_inputs()
    assert "*" in ignore
    assert {line[1:] for line in ignore if line.startswith("!")} == copied
    assert "--constraint /home/ray/regtune/constraints.txt" in text


def test_one_target_of_the_image_starts_a_sweep_and_the_last_is_that_of_a_cluster() -> None:
    base, run, cluster = re.split(r"^FROM .* AS (?:run|cluster)$", (CLUSTERS / "Dockerfile").read_text(), flags=re.M)
    (words,) = re.findall(r"^ENTRYPOINT (.*)$", run, flags=re.M)
    assert json.loads(words) == ["regtune", "run"]
    assert "ENTRYPOINT" not in base + cluster, "the operator says what head and workers start"
    assert "RAY_AUTH_MODE=token" in cluster
    readme = (CLUSTERS / "README.md").read_text()
    assert re.search(r"--target run --tag regtune:run", readme)
    assert re.search(r'docker run .*-v "\$PWD:/work" .* regtune:run quickstart.toml', readme)


# --- Slurm


def sbatch(folder: Path, srun: str, *arguments: str, ray: str = RAY) -> subprocess.CompletedProcess[str]:
    """Run the batch file in a folder whose `srun` and `ray --version` are the given ones."""
    tools = folder / ".venv" / "bin"
    tools.mkdir(parents=True)
    scripts = {
        "activate": f'PATH="{tools}:$PATH"',
        "srun": srun,
        "ray": f'#!/bin/bash\necho "ray, version {ray}"',
        "hostname": '#!/bin/bash\necho "192.0.2.1 192.0.2.2"',
    }
    for name, text in scripts.items():
        (tools / name).write_text(text + "\n")
        (tools / name).chmod(0o755)
    slurm = {
        "SLURM_SUBMIT_DIR": str(folder),
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_CPUS_PER_TASK": "8",
    }
    return subprocess.run(
        ["bash", CLUSTERS / "slurm.sbatch", *arguments], env=os.environ | slurm, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip


DRIVER = """#!/bin/bash
printf '%s\\n' "$@" > words
env | grep ^RAY_ > environment
regtune() {{ echo "$*" > driver; return {code}; }}
export -f regtune
while [[ $1 != -- ]]; do shift; done
shift
"$@"
"""


def test_the_batch_file_is_bash() -> None:
    subprocess.run(["bash", "-n", CLUSTERS / "slurm.sbatch"], check=True)


def test_the_batch_file_hands_the_sweep_to_the_driver_and_its_exit_code_to_slurm(tmp_path: Path) -> None:
    for code in (0, 3):
        folder = tmp_path / str(code)
        done = sbatch(folder, DRIVER.format(code=code), "sweeps/my sweep.toml")
        assert done.returncode == code, done.stderr
        assert (folder / "driver").read_text() == "run sweeps/my sweep.toml --address auto\n"
        assert list((folder / "results").iterdir()) == []


def test_the_batch_file_starts_ray_on_all_nodes_with_a_token_of_its_own(tmp_path: Path) -> None:
    seen = set()
    for job in ("one", "two"):
        folder = tmp_path / job
        sbatch(folder, DRIVER.format(code=0), "sweep.toml")
        words = (folder / "words").read_text().splitlines()
        command = words[words.index("ray") : words.index("--")]
        assert command[:4] == ["ray", "symmetric-run", "--address", "192.0.2.1:6379"]
        assert command[command.index("--min-nodes") + 1] == "2"
        variables = dict(line.split("=", 1) for line in (folder / "environment").read_text().splitlines())
        assert variables["RAY_AUTH_MODE"] == "token"
        assert re.fullmatch(r"[0-9a-f]{64}", variables["RAY_AUTH_TOKEN"])
        seen.add(variables["RAY_AUTH_TOKEN"])
    assert len(seen) == 2


def test_the_batch_file_fails_where_ray_did_not_start(tmp_path: Path) -> None:
    """`ray symmetric-run` exits with 0 then."""
    assert sbatch(tmp_path, "#!/bin/bash\nexit 0", "sweep.toml").returncode == 1


def test_the_batch_file_refuses_another_ray_and_no_sweep(tmp_path: Path) -> None:
    other = sbatch(tmp_path / "other", DRIVER.format(code=0), "sweep.toml", ray="2.59.0")
    assert other.returncode == 1
    assert f"expected ray, version {RAY} in .venv, given ray, version 2.59.0" in other.stderr
    assert not (tmp_path / "other" / "words").exists()
    none = sbatch(tmp_path / "none", DRIVER.format(code=0))
    assert none.returncode != 0
    assert "usage: sbatch clusters/slurm.sbatch SWEEP" in none.stderr


def test_only_flags_that_ray_start_has_on_a_worker_too_are_given() -> None:
    """symmetric-run gives all nodes the same flags, and `ray start` refuses those of a head on a worker."""
    text = (CLUSTERS / "slurm.sbatch").read_text()
    command = re.search(r"^ +ray symmetric-run(.*?) -- ", text, flags=re.DOTALL | re.MULTILINE)
    assert command
    flags = set(re.findall(r"(--[a-z-]+)", command[1]))
    assert flags == {"--address", "--min-nodes", "--num-cpus", "--num-gpus"}
    assert re.search(r"^#SBATCH --exclusive$", text, flags=re.MULTILINE)
    assert re.search(r"^#SBATCH --requeue$", text, flags=re.MULTILINE)
    assert re.search(r"^#SBATCH --dependency=singleton$", text, flags=re.MULTILINE)
