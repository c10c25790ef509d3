"""Scipy's special functions, as scipy compiled them, without what `scipy.special` loads beside.

The package loads besides what it needs for arrays of other libraries: three times as long as to
load numpy. It is begun, and left when its compiled part is there. Who imports it whole, before
or after, finds it whole, with the same functions. Where scipy keeps them otherwise, the whole
package is loaded (tests hold both; docs/decisions/0021-special-functions-alone.md).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from threading import get_ident
from types import ModuleType
from typing import Any

import numpy as np

_WHOLE = "scipy.special"
_COMPILED = "scipy.special._ufuncs"


class _Enough(ImportError):
    """The compiled part is there: the package need not go on."""


class _Begun(MetaPathFinder, Loader):
    """An importer that begins `scipy.special`, for one thread only; another one waits."""

    def __init__(self) -> None:
        self.thread = get_ident()

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where the package lies, to be loaded here; leave all else to others."""
        if name != _WHOLE or get_ident() != self.thread:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None:
            spec.loader = self
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """Let python make the module: it is forgotten when it is left."""

    def exec_module(self, module: ModuleType) -> None:
        """Load the compiled part, and leave."""
        import_module(_COMPILED)
        raise _Enough


def _compiled() -> Any:
    """Return the compiled part; the whole package where scipy does not give it alone."""
    if _WHOLE in sys.modules:
        return sys.modules[_WHOLE]
    begun = _Begun()
    sys.meta_path.insert(0, begun)
    try:
        return import_module(_WHOLE)  # comes here where somebody else was faster
    except _Enough:
        return sys.modules[_COMPILED]
    except Exception:  # it is scipy's own affair: it may be elsewhere, or need the rest
        sys.meta_path.remove(begun)
        return import_module(_WHOLE)
    finally:
        if begun in sys.meta_path:
            sys.meta_path.remove(begun)


_part = _compiled()


def _function(name: str) -> Any:
    """Return a function; that of the whole package where the compiled part has none like it."""
    found = getattr(_part, name, None)
    return found if isinstance(found, np.ufunc) else getattr(import_module(_WHOLE), name)


bdtr = _function("bdtr")
betainc = _function("betainc")
betaincc = _function("betaincc")
betaincinv = _function("betaincinv")
chdtrc = _function("chdtrc")
chdtri = _function("chdtri")
expit = _function("expit")
fdtrc = _function("fdtrc")
gammainc = _function("gammainc")
gammainccinv = _function("gammainccinv")
gammaincinv = _function("gammaincinv")
gammaln = _function("gammaln")
logit = _function("logit")
ndtr = _function("ndtr")
ndtri = _function("ndtri")
psi = _function("psi")
rel_entr = _function("rel_entr")
stdtr = _function("stdtr")
wrightomega = _function("wrightomega")
xlog1py = _function("xlog1py")
xlogy = _function("xlogy")
