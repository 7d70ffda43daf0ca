"""The files in clusters/ that start the service agree with its options and with each other. Nothing is launched."""

from __future__ import annotations

import configparser
import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from regtune.service.command import app
from tests.test_clusters import CLUSTERS, PINS, read

SERVE = typer.main.get_command(app)


def options_of(words: list[str]) -> dict[str, str]:
    """Return the options of a command line of `regtune serve` as it reads them; wrong ones raise."""
    assert words[:2] == ["regtune", "serve"]
    read = SERVE.make_context("serve", list(words[2:])).params
    return {name: str(value) for name, value in read.items() if value is not None}


# --- Kubernetes


def manifests() -> tuple[dict[str, Any], dict[str, Any]]:
    deployment, service = yaml.safe_load_all((CLUSTERS / "kuberay" / "service.yaml").read_text())
    assert (deployment["apiVersion"], deployment["kind"]) == ("apps/v1", "Deployment")
    assert (service["apiVersion"], service["kind"]) == ("v1", "Service")
    return deployment, service


def pod() -> dict[str, Any]:
    found: dict[str, Any] = manifests()[0]["spec"]["template"]["spec"]
    return found


def test_the_service_is_reached_with_a_token_only() -> None:
    """In a pod it listens on all addresses, which `regtune serve` refuses without a token."""
    [container] = pod()["containers"]
    given = options_of([*container["command"], *container["args"]])
    assert given["host"] == "0.0.0.0"  # noqa: S104  # of the pod
    volumes = {volume["name"]: volume for volume in pod()["volumes"]}
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    token = Path(given["token_file"])
    assert "secret" in volumes[mounts[str(token.parent)]["name"]]
    assert f"--from-literal={token.name}=" in (CLUSTERS / "kuberay" / "service.yaml").read_text()
    assert manifests()[1]["spec"]["type"] == "ClusterIP"
    assert manifests()[1]["metadata"]["name"] in given["name"]


def test_the_service_and_the_head_of_the_cluster_share_results_version_and_token() -> None:
    cluster = read("kuberay/raycluster.yaml")
    head = cluster["spec"]["headGroupSpec"]["template"]["spec"]
    name = cluster["metadata"]["name"]
    [container] = pod()["containers"]
    given = options_of([*container["command"], *container["args"]])
    assert given["address"] == f"http://{name}-head-svc:8265"
    assert container["image"] == head["containers"][0]["image"]
    assert container["image"].endswith(PINS["ray"])
    [mount] = [mount for mount in container["volumeMounts"] if mount["mountPath"] == given["results"]]
    assert mount in head["containers"][0]["volumeMounts"]
    [volume] = [volume for volume in pod()["volumes"] if volume["name"] == mount["name"]]
    assert volume in head["volumes"]
    [token] = [each for each in container["env"] if each["name"] == "RAY_AUTH_TOKEN"]
    assert token["valueFrom"]["secretKeyRef"] == {"name": name, "key": "auth_token"}
    [rule] = pod()["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert rule["labelSelector"]["matchLabels"] == {"ray.io/cluster": name, "ray.io/node-type": "head"}


def test_the_pod_of_the_service_may_do_little_and_is_watched() -> None:
    [container] = pod()["containers"]
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert pod()["securityContext"]["fsGroup"] == 100, "the group of the user of Ray's images"
    assert pod()["automountServiceAccountToken"] is False
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert container["resources"].keys() == {"requests", "limits"}
    [port] = container["ports"]
    for probe in ("readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        assert (asked["path"], asked["port"]) == ("/", port["name"])
        assert asked["httpHeaders"] == [{"name": "Host", "value": "localhost"}]
    deployment, service = manifests()
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"] == labels
    [given] = service["spec"]["ports"]
    assert (given["port"], given["targetPort"]) == (port["containerPort"], port["name"])


def test_the_image_has_the_service() -> None:
    assert "/home/ray/regtune[vision,timm,service]" in (CLUSTERS / "Dockerfile").read_text()


# --- systemd


def unit() -> configparser.ConfigParser:
    found = configparser.ConfigParser(interpolation=None, comment_prefixes=("#",), delimiters=("=",))
    found.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    found.read(CLUSTERS / "regtune.service")
    return found


def test_the_unit_starts_the_service_and_leaves_its_sweeps_alone() -> None:
    given = unit()["Service"]
    program, *words = given["ExecStart"].split()
    assert program.endswith("/.venv/bin/regtune")
    options = options_of(["regtune", *words])
    assert options["host"] == "127.0.0.1"
    assert options["token_file"] == "${CREDENTIALS_DIRECTORY}/" + given["LoadCredential"].partition(":")[0]
    assert options["results"].startswith(f"/var/lib/{given['StateDirectory']}/")
    assert given["KillMode"] == "process"
    assert given["OOMPolicy"] == "continue"
    assert "PrivateTmp" not in given, "it would go from under the sweeps"
    assert "PrivateDevices" not in given, "it would take the GPUs away"
    assert "MemoryDenyWriteExecute" not in given, "compiled training writes code"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    text = (CLUSTERS / "regtune.service").read_text()
    path = tmp_path / "regtune.service"
    path.write_text(text.replace("/opt/regtune/.venv/bin/regtune", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False, timeout=60)
    assert "regtune.service" not in done.stderr
    path.write_text(text.replace("KillMode=", "KilMode="))
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False, timeout=60)
    assert "KilMode" in done.stderr, "so the check above is one"


# --- Slurm


def test_the_batch_file_of_the_service_makes_a_token_once_and_says_the_way_in(tmp_path: Path) -> None:
    tools = tmp_path / ".venv" / "bin"
    tools.mkdir(parents=True)
    scripts = {
        "activate": f'PATH="{tools}:$PATH"',
        "regtune": '#!/bin/bash\nprintf "%s\\n" "$@" > words',
        "hostname": "#!/bin/bash\necho node7",
    }
    for name, text in scripts.items():
        (tools / name).write_text(text + "\n")
        (tools / name).chmod(0o755)
    variables = {**os.environ, "SLURM_SUBMIT_DIR": str(tmp_path), "HOME": str(tmp_path)}
    tokens = set()
    for _ in range(2):
        done = subprocess.run(
            ["bash", CLUSTERS / "slurm-service.sbatch", "--data", "my data"],
            env=variables, capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        assert done.stdout.startswith("ssh -L 8266:127.0.0.1:8266 -J LOGIN-NODE node7 ")
        token = tmp_path / ".regtune-token"
        tokens.add(token.read_text())
        assert stat.S_IMODE(token.stat().st_mode) == 0o600
        assert token.read_text() not in done.stdout
    assert len(tokens) == 1
    assert len(tokens.pop()) == 64
    options = options_of(["regtune", *(tmp_path / "words").read_text().splitlines()])
    assert options["host"] == "127.0.0.1"
    assert options["token_file"] == str(token)
    assert options["data"] == "my data"
