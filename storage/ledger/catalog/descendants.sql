-- Macro: `from descendants('clip-3ff9')` is all that was made from an artifact (by how its id begins) or raw file.
--
-- id        varchar                   artifact, or sha256:<hash> of a file that left the stores
-- depth     integer                   how many steps away, at least
-- kind      varchar                   of the artifact; exported file
-- identity  varchar                   whose
-- stage     varchar                   what made it
-- started   timestamp with time zone  when it was begun
-- bytes     bigint                    size
create or replace macro descendants(what) as table
with recursive edges as materialized (
    select child, parent from lineage
),
below(id, depth) as (
    select child, 1 from edges where starts_with(parent, what)
    union
    select e.child, below.depth + 1
    from below
    join edges e on e.parent = below.id
    where below.depth < 100
),
met as (
    select id, min(depth) as depth from below group by id
)
select
    m.id,
    m.depth,
    coalesce(a.kind, if(starts_with(m.id, 'sha256:'), 'exported file', 'missing')) as kind,
    a.identity,
    a.stage,
    a.started,
    a.bytes
from met m
left join artifacts a on a.id = m.id;
