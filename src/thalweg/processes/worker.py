"""The other side of `processes.crew`: a worker gets a function with what it shares, then one item
after the other.
"""

import gc
import sys
import traceback
from contextlib import suppress
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle
import torch

from thalweg.errors import Diverged, InputError
from thalweg.processes.sending import unpack

IDLE = 300.0  # seconds without work after which a worker ends


def serve(connection: Connection) -> None:
    """Does calls until the other side closes the connection, or has nothing to do for minutes."""
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()  # or every collection after a call would look through all of torch
    with suppress(EOFError, ConnectionError):
        while connection.poll(IDLE):
            _call(connection)
            gc.collect()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()


def _call(connection: Connection) -> None:
    """One call: arrives, does its items, forgets all."""
    number, place, surroundings, places = connection.recv()
    handle = reduction.recv_handle(connection) if places else None
    pickled = connection.recv_bytes()
    try:
        surroundings.enter()
        function, begin, shared = unpack(pickled, places, handle)
        if begin is not None:
            begin(shared, place)
        _answer(connection, number, None)
    except Exception as error:  # what users send may raise anything when it is unpickled
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
    """Sends (call, result, error).

    An error that can't be sent is sent as its text, with the place where it was raised.
    """
    if error is not None:
        if not isinstance(error, InputError | Diverged):
            error.add_note(
                "in a worker process:\n" + "".join(traceback.format_exception(error)).rstrip()
            )
        try:
            cloudpickle.loads(packed := cloudpickle.dumps((number, None, error)))
        except Exception:
            packed = cloudpickle.dumps(
                (number, None, RuntimeError(f"{type(error).__name__}: {error}"))
            )
    else:
        packed = cloudpickle.dumps((number, result, None))
    connection.send_bytes(packed)
