"""The disk cache of compiled code, keyed by all source that went into it.

Owns where compiled code is kept and when it is stale. numba's own cache looks at one file only:
a change in another file of the kernel would run old code. Here the stamp is a hash of every file
in `compiled/`, of what links it, of `numbers.py` and of the versions of the compilers (for a
policy: of all policies), so a stale entry is never taken. Must never be trusted with anything but
what can be compiled again.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core import runtime
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from numba.core.registry import cpu_target

from howdah.simulate.kernel import compiled

_SIMULATE = Path(__file__).parent.parent
_COMPILERS = f"{numba.__version__} {llvmlite.__version__}"


@lru_cache(maxsize=1)
def policies_stamp() -> str:
    """The hash of all policies: a hook may use what another module of the folder defines."""
    return compiled.stamp_of([_SIMULATE / "policies"], [_SIMULATE / "numbers.py"])


def folder() -> Path:
    """Where compiled code is kept: NUMBA_CACHE_DIR, else the user's cache folder."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    if given:
        return Path(given) / "howdah"
    user = os.environ.get("XDG_CACHE_HOME")
    return (Path(user) if user else Path.home() / ".cache") / "howdah" / "kernel"


def _writable(path: Path) -> bool:
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError:
        return False
    return True


class _Locator(_CacheLocator):
    """Finds entries in our folder, fresh by our stamp."""

    def __init__(self, function: Callable[..., Any], path: str) -> None:
        self._function, self._file = function, Path(path)
        own = folder()
        private = Path(tempfile.gettempdir()) / f"howdah-kernel-{os.getuid()}"
        self._path = own if _writable(own) else private

    def get_cache_path(self) -> str:
        """The folder."""
        return str(self._path)

    def get_source_stamp(self) -> str:
        """The kernel's stamp; or a policy's: all policies, and the function's own file."""
        if self._function.__module__.startswith("howdah.simulate.kernel."):
            return f"{compiled.STAMP} {_COMPILERS}"
        own = hashlib.blake2b(self._file.read_bytes(), digest_size=16).hexdigest()
        return f"{policies_stamp()} {own} {_COMPILERS}"

    def get_disambiguator(self) -> str:
        """Functions of one name in different files are different."""
        return hashlib.blake2b(str(self._file).encode(), digest_size=8).hexdigest()

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> _Locator | None:
        """A locator, when the function has a file."""
        return cls(py_func, py_file) if Path(py_file).exists() else None


class _Implementation(CompileResultCacheImpl):
    _locator_classes: Any = (_Locator,)


class _FolderCache(FunctionCache):
    """numba's cache of functions with our locator."""

    _impl_class = _Implementation

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What was kept, or None.

        numba would first load all that it knows about numpy and scipy, which takes longer than
        everything else; our code calls nothing of it but the runtime's symbols.
        """
        numbas: Any = runtime
        numbas.rtsys.initialize(target_context)
        this: Any = self
        with this._guard_against_spurious_io_errors():
            return this._load_overload(sig, target_context)


def cache_of(function: Callable[..., Any]) -> Any:
    """The cache of a function, to be put in the place of numba's."""
    made: Any = _FolderCache
    return made(function)


def holds(function: Callable[..., Any], signature: Any) -> bool:
    """Whether compiled code of the function is there, and fresh."""
    cache = cache_of(function)
    target: Any = cpu_target
    key = cache._index_key(signature, target.target_context.codegen())
    return key in cache._cache_file._load_index()


def has_file(function: Callable[..., Any]) -> bool:
    """Whether a function comes from a file, so that its code can be kept."""
    try:
        return Path(inspect.getfile(function)).exists()
    except (OSError, TypeError):
        return False
