-- Everybody of whom the ledger knows, and what there is of them.
--
-- identity      varchar                   who
-- clips         bigint                    clips that are worked with
-- hours         double                    of those clips
-- features      bigint                    sets of features
-- memories      bigint                    explicit memories
-- checkpoints   bigint                    trained networks
-- dubs          bigint                    dubs
-- evaluations   bigint                    comparisons of methods
-- failures      bigint                    rows of `failures` about them
-- bytes         bigint                    of all their artifacts
-- first_made    timestamp with time zone  when their first artifact was begun
-- last_made     timestamp with time zone  when their last one was
create or replace view people as
with footage as (
    select identity, count(*) as clips, sum(duration_s) / 3600 as hours
    from clips
    where retired_at is null
    group by identity
),
made as (
    select
        identity,
        count(*) filter (kind = 'features') as features,
        count(*) filter (kind = 'memory') as memories,
        count(*) filter (kind = 'checkpoint') as checkpoints,
        count(*) filter (kind = 'dub') as dubs,
        count(*) filter (kind = 'evaluation') as evaluations,
        sum(bytes)::bigint as bytes,
        min(started) as first_made,
        max(started) as last_made
    from artifacts
    group by identity
),
failed as (
    select identity, count(*) as failures from failures group by identity
),
known as (
    select identity from made
    union
    select identity from failed
    union
    select identity from sources
)
select
    identity,
    coalesce(clips, 0) as clips,
    coalesce(hours, 0) as hours,
    coalesce(features, 0) as features,
    coalesce(memories, 0) as memories,
    coalesce(checkpoints, 0) as checkpoints,
    coalesce(dubs, 0) as dubs,
    coalesce(evaluations, 0) as evaluations,
    coalesce(failures, 0) as failures,
    coalesce(bytes, 0) as bytes,
    first_made,
    last_made
from known
left join footage using (identity)
left join made using (identity)
left join failed using (identity)
where identity is not null;
