"""Workers: Dask processes of this machine or of a cluster, or nobody but this process itself.

    workers    what they all offer, and what a task may call while it runs
    crew       a team of Dask workers             alone     plain calls, no Dask
    local      processes of our own               clusters  an existing engine, by a YAML file
    opening    which of them it is                checks    whether they are fit for the work

`tasks.chunks` and `tasks.extract` hand work to them; flows open them.
"""

from tasks.team.alone import Alone
from tasks.team.checks import check_shared, is_shared
from tasks.team.clusters import ClusterSpec, read_cluster
from tasks.team.crew import CARD, Team
from tasks.team.opening import CLUSTER, open_team, open_workers
from tasks.team.workers import Step, Workers, clocked, report_step, usual_workers

__all__ = [
    "CARD",
    "CLUSTER",
    "Alone",
    "ClusterSpec",
    "Step",
    "Team",
    "Workers",
    "check_shared",
    "clocked",
    "is_shared",
    "open_team",
    "open_workers",
    "read_cluster",
    "report_step",
    "usual_workers",
]
