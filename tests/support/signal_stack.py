"""The alternate signal stack of the calling thread, which OpenVINO can leave pointing to freed memory."""

from __future__ import annotations

import ctypes

_SS_DISABLE = 2


class _Stack(ctypes.Structure):
    _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def use_the_normal_stack_for_signals() -> None:
    """Switch the alternate signal stack of this thread off.

    OpenVINO's CPU plugin sets one on processors with AMX and puts the previous one back when a model is destroyed. Two
    models destroyed in the order they were made leave the stack of the first one set, which is freed by then: the
    next signal that Python handles ends the process with a segmentation fault.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.sigaltstack(ctypes.byref(_Stack(None, _SS_DISABLE, 0)), None):
        raise OSError(ctypes.get_errno(), "sigaltstack")
