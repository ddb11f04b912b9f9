-- What takes the disk, and the time: one row a stage and kind.
--
-- kind            varchar  of artifact
-- stage           varchar  what made them
-- artifacts       bigint   how many
-- bytes           bigint   of all of them
-- share           double   of all artifacts' bytes
-- outdated_bytes  bigint   of those that an older version of the stage made
-- seconds         double   that their making took
create or replace view storage_by_stage as
with newest as (
    select kind, stage, max(stage_version) as newest_version from artifacts group by kind, stage
)
select
    a.kind,
    a.stage,
    count(*) as artifacts,
    sum(a.bytes)::bigint as bytes,
    sum(a.bytes)::double / nullif(sum(sum(a.bytes)) over (), 0)::double as share,
    coalesce(sum(a.bytes) filter (a.stage_version < n.newest_version), 0)::bigint as outdated_bytes,
    sum(a.seconds) as seconds
from artifacts a
join newest n on n.kind = a.kind and n.stage = a.stage
group by a.kind, a.stage;
