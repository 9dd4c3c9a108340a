"""Loads and stores at addresses, and calls through addresses: what the kernel is made of.

Owns the intrinsics and the options with which every kernel function is compiled. Must never know
what lies where: `layout.py` does. Addresses are int64; nothing checks them, so only the kernel
uses them, on memory that `arena.py` laid out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

# What numba makes an integer, an address, a float or a truth of: it finds out which.
Word = Any

Function = TypeVar("Function", bound=Callable[..., Any])

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": False}


def compiled(function: Function) -> Function:
    """A function that only other kernel functions call: no wrapper for Python is made."""
    make: Any = njit
    ready: Function = make(no_cpython_wrapper=True, no_cfunc_wrapper=True, **OPTIONS)(function)
    return ready


def _load(llvm: ir.Type, numba_type: types.Type) -> Any:
    def load(_typing: Any, _address: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            pointer = builder.inttoptr(arguments[0], llvm.as_pointer())
            value = builder.load(pointer)
            if isinstance(llvm, ir.IntType) and llvm.width < 64:
                return builder.sext(value, ir.IntType(64))
            return value

        return numba_type(types.int64), generate

    made: Any = intrinsic(load)
    return made


def _store(llvm: ir.Type, numba_type: types.Type) -> Any:
    def store(_typing: Any, _address: Any, _value: Any) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            pointer = builder.inttoptr(arguments[0], llvm.as_pointer())
            value = arguments[1]
            if isinstance(llvm, ir.IntType) and llvm.width < 64:
                value = builder.trunc(value, llvm)
            builder.store(value, pointer)
            return context.get_dummy_value()

        return types.void(types.int64, numba_type), generate

    made: Any = intrinsic(store)
    return made


get, put = _load(ir.IntType(64), types.int64), _store(ir.IntType(64), types.int64)
get32, put32 = _load(ir.IntType(32), types.int64), _store(ir.IntType(32), types.int64)
get8, put8 = _load(ir.IntType(8), types.int64), _store(ir.IntType(8), types.int64)
getu, putu = _load(ir.IntType(64), types.uint64), _store(ir.IntType(64), types.uint64)
getf, putf = _load(ir.DoubleType(), types.float64), _store(ir.DoubleType(), types.float64)


def _bits_of(_typing: Any, _x: Any) -> Any:
    """The 64 bits of a float as an integer."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), generate


bits_of: Any = intrinsic(_bits_of)


def _float_of(_typing: Any, _bits: Any) -> Any:
    """The float that has these 64 bits."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), generate


float_of: Any = intrinsic(_float_of)


def _trailing_zeros(_typing: Any, _x: Any) -> Any:
    """How many zero bits stand below the lowest one; 64 for 0."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), generate


trailing_zeros: Any = intrinsic(_trailing_zeros)


def _call(_typing: Any, _function: Any, _state: Any, _p: Any, _view: Any, _u: Any) -> Any:
    """Call a policy's hook at an address: `double (double *, double *, double *, double)`."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        double = ir.DoubleType()
        pointer = double.as_pointer()
        shape = ir.FunctionType(double, [pointer, pointer, pointer, double])
        target = builder.inttoptr(arguments[0], shape.as_pointer())
        arrays = [builder.inttoptr(each, pointer) for each in arguments[1:4]]
        return builder.call(target, [*arrays, arguments[4]])

    words = types.int64
    return types.float64(words, words, words, words, types.float64), generate


call: Any = intrinsic(_call)
