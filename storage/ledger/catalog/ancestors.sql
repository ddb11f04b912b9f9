-- Macro: `from ancestors('dub-3ff9')` is all that an artifact (by how its id begins) was made from, down to raw files.
--
-- id          varchar                   artifact, or sha256:<hash> of a raw file
-- depth       integer                   how many steps away, at least
-- kind        varchar                   of the artifact; raw file
-- identity    varchar                   whose
-- name        varchar                   of a raw file, when it was read
-- stage       varchar                   what made it
-- started     timestamp with time zone  when it was begun
-- bytes       bigint                    size
create or replace macro ancestors(what) as table
with recursive edges as materialized (
    select child, parent, parent_name from lineage
),
above(id, depth) as (
    select parent, 1 from edges where starts_with(child, what)
    union
    select e.parent, above.depth + 1
    from above
    join edges e on e.child = above.id
    where above.depth < 100
),
met as (
    select id, min(depth) as depth from above group by id
),
named as (
    select parent, max(parent_name) as name from edges where starts_with(parent, 'sha256:') group by parent
)
select
    m.id,
    m.depth,
    coalesce(a.kind, if(starts_with(m.id, 'sha256:'), 'raw file', 'missing')) as kind,
    a.identity,
    n.name,
    a.stage,
    a.started,
    a.bytes
from met m
left join artifacts a on a.id = m.id
left join named n on n.parent = m.id;
