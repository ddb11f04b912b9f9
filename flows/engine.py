"""How a flow calls its tasks: directly, or as Prefect tasks when Prefect runs the flow.

One path through the code: a flow's body is the same in both cases. On the command line nothing of
Prefect is imported and no server is waited for; inside a Prefect flow run each call becomes a task run
with a name that says what it does. Called by flows only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["call", "in_prefect"]

Result = TypeVar("Result")


def in_prefect() -> bool:
    """Whether a Prefect flow run surrounds us."""
    context = sys.modules.get("prefect.context")
    return context is not None and context.FlowRunContext.get() is not None


def call(task: Callable[..., Result], *arguments: Any, name: str, **keywords: Any) -> Result:
    """The result of `task(*arguments, **keywords)`."""
    if not in_prefect():
        return task(*arguments, **keywords)
    import prefect
    from prefect.cache_policies import NO_CACHE

    # Recipes are the cache: Prefect's own would believe in files that are gone.
    wrapped = prefect.task(
        task,
        name=task.__name__,
        task_run_name=name.replace("{", "(").replace("}", ")"),
        cache_policy=NO_CACHE,
    )
    return wrapped(*arguments, **keywords)
