-- The last failure of each thing that ever failed; `memdub status` says which of them still stand.
--
-- identity   varchar                   whom it was about
-- stage      varchar                   what refused or broke
-- subject    varchar                   clip id or file name
-- reason     varchar                   the one line that the user saw
-- error      varchar                   class of the error
-- attempts   bigint                    how often it failed
-- first_at   timestamp with time zone  the first time
-- failed_at  timestamp with time zone  the last time
-- flow       varchar                   of the run in which it failed last
create or replace view last_failures as
with last as (
    select
        identity,
        stage,
        subject,
        arg_max(reason, failed_at) as reason,
        arg_max(error, failed_at) as error,
        count(*) as attempts,
        min(failed_at) as first_at,
        max(failed_at) as failed_at,
        arg_max(run_id, failed_at) as run_id
    from failures
    group by identity, stage, subject
)
select l.* exclude (run_id), r.flow
from last l
left join runs r on r.id = l.run_id;
