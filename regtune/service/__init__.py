"""The service: an HTTP API beside a results folder, to launch, watch and read sweeps.

It has no state of its own: all that it says it reads from logs, and what it starts are runs like those of a shell. So
it may be stopped and started at any time, and several may serve one folder. FastAPI and uvicorn are imported here only.
"""
