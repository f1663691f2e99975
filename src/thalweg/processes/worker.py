"""The worker's side of `processes.crew`: it receives a function, a shared value, and then items."""

import gc
import sys
import traceback
from contextlib import suppress
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle
import torch

from thalweg.errors import InputError, TrainingFailed
from thalweg.processes.sending import unpack

IDLE = 300.0  # seconds without work, after which a worker ends


def serve(connection: Connection) -> None:
    """Serves calls until the other side closes the connection, or sends nothing for minutes."""
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()  # otherwise every collection after a call would traverse all of torch
    with suppress(EOFError, ConnectionError):
        while connection.poll(IDLE):
            _call(connection)
            gc.collect()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()


def _call(connection: Connection) -> None:
    """Receives one call, does its items and forgets it."""
    number, place, surroundings, places = connection.recv()
    handle = reduction.recv_handle(connection) if places else None
    pickled = connection.recv_bytes()
    try:
        surroundings.enter()
        function, begin, shared = unpack(pickled, places, handle)
        if begin is not None:
            begin(shared, place)
        _answer(connection, number, None)
    except Exception as error:  # the user's objects may raise anything when they are unpickled
        _answer(connection, number, None, error)
    while item := connection.recv_bytes():
        try:
            _answer(connection, number, function(shared, cloudpickle.loads(item)))
        except (EOFError, ConnectionError):
            raise
        except BaseException as error:
            _answer(connection, number, None, error)


def _answer(
    connection: Connection, number: int, result: Any, error: BaseException | None = None
) -> None:
    """Sends (call, result, error)."""
    connection.send_bytes(answer(number, result, error))


def answer(number: int, result: Any, error: BaseException | None = None) -> bytes:
    """Packs (call, result, error) for the process that asked.

    An error carries the traceback as a note. An error that can't be sent is sent as its text.
    """
    if error is None:
        return cloudpickle.dumps((number, result, None))
    if not isinstance(error, InputError | TrainingFailed):
        trace = "".join(traceback.format_exception(error)).rstrip()
        error.add_note(f"in a worker process:\n{trace}")
    try:
        cloudpickle.loads(packed := cloudpickle.dumps((number, None, error)))
    except Exception:
        text = RuntimeError(f"{type(error).__name__}: {error}")
        packed = cloudpickle.dumps((number, None, text))
    return packed


def opened(packed: bytes) -> tuple[int, Any, BaseException | None]:
    """Returns (call, result, error) as `answer` packed them."""
    return cloudpickle.loads(packed)
