"""From a module to layers: what it does to a few samples, operation by operation.

The module is run once; every operation of libtorch on the samples is followed (`recorder`). Values are
what some layer put out, moved about and scaled (`values`), or functions of such that have yet to be
recognised. Operations become layers by the rules of `rules`, joined in a graph of layers (`nodes`), which
`nesting` writes as nested lists.
"""

from .recorder import record

__all__ = ["record"]
