-- Artifacts of an older version of their stage than the newest one that this ledger knows.
--
-- identity        varchar                   whose; null for general ones
-- artifact        varchar                   artifact id
-- kind            varchar                   what it is
-- stage           varchar                   what made it
-- stage_version   integer                   version that made it
-- newest_version  integer                   the newest version that made any artifact here
-- started         timestamp with time zone  when it was begun
-- bytes           bigint                    size
create or replace view outdated as
with newest as (
    select kind, stage, max(stage_version) as newest_version from artifacts group by kind, stage
)
select a.identity, a.id as artifact, a.kind, a.stage, a.stage_version, n.newest_version, a.started, a.bytes
from artifacts a
join newest n on n.kind = a.kind and n.stage = a.stage
where a.stage_version < n.newest_version;
