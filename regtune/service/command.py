"""The command `regtune serve`."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def serve(
    results: Annotated[Path, typer.Option("--results", help="folder of the results that are served")] = Path("results"),
    data: Annotated[
        Path | None,
        typer.Option("--data", envvar="REGTUNE_DATA", help="folder that contains the data sets", show_default=False),
    ] = None,
    download: Annotated[bool, typer.Option("--download", help="download published data sets that are missing")] = False,
    plugin: Annotated[
        list[str] | None,
        typer.Option("--plugin", help="a plugin that sweep files may name: a module, or its file as ./mine.py"),
    ] = None,
    in_process: Annotated[
        bool, typer.Option("--in-process", help="train each sweep in one process, without Ray")
    ] = False,
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            help="run sweeps as jobs of a Ray cluster that sees the same folders; its job server, as http://HEAD:8265",
            show_default=False,
        ),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="address to listen on; others than loopback need a token")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option("--port", help="port to listen on; 0 takes a free one", min=0, max=65535)] = 8266,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help="a further name by which the service is called, as behind a proxy"),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", help="file with the token that requests must have; or set REGTUNE_TOKEN"),
    ] = None,
    max_log: Annotated[
        int, typer.Option("--max-log", help="largest log that is read, in MiB: frames take memory", min=1)
    ] = 512,
    max_streams: Annotated[
        int, typer.Option("--max-streams", help="most streams of events that are open at once", min=1)
    ] = 200,
) -> None:
    """Serve sweeps over HTTP: launch, watch and read them from other programs; on this machine only, by default."""
    from regtune.core.errors import Refused
    from regtune.core.plugins import name_of_plugin
    from regtune.execution.ray.address import check_address
    from regtune.service.settings import LOOPBACK, MIB, TOKEN_VARIABLE, Settings, check_access

    try:
        import uvicorn

        from regtune.service.app import service
        from regtune.service.server import Server
        from regtune.service.worker import Worker
    except ModuleNotFoundError as error:
        raise Refused(f"serve: expected the package {error.name}; pip install 'regtune[service]'") from error
    if address is not None:
        if in_process:
            raise Refused("--address: expected a cluster or --in-process, given both; leave one of them out")
        check_address(address)
    token = token_file.read_text(encoding="utf-8").strip() if token_file else os.environ.get(TOKEN_VARIABLE)
    check_access(host, token)
    plugins = {name_of_plugin(given): str(Path(given).absolute()) if "/" in given else given for given in plugin or ()}
    others = () if host in LOOPBACK else (host, socket.gethostname())
    results.mkdir(parents=True, exist_ok=True)
    settings = Settings(
        results=results.resolve(),
        data=data.resolve() if data is not None else None,
        download=download,
        plugins=plugins,
        token=token,
        hosts=frozenset(each.lower() for each in (*LOOPBACK, *others, *(name or ()))),
        in_process=in_process,
        address=address,
        most_log_bytes=max_log * MIB,
        most_streams=max_streams,
    )
    worker = Worker(settings)
    if plugins:
        worker.ask({"do": "entries"})  # what is wrong with a plugin is said at the start
    ending = threading.Event()
    config = uvicorn.Config(
        service(settings, worker.ask, ending),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=2,
    )
    opened = config.bind_socket()
    shown = f"[{host}]" if ":" in host else host
    print(f"regtune: {settings.results} at http://{shown}:{opened.getsockname()[1]}", flush=True)
    try:
        Server(config, ending).run(sockets=[opened])
    finally:
        worker.close()
