-- The newest artifact of every stage of extraction, by clip.
--
-- identity       varchar                   who is seen
-- clip           varchar                   artifact id of the clip
-- kind           varchar                   faces, track, audio, fit, features
-- artifact       varchar                   the newest of that kind made of the clip
-- stage_version  integer                   version of the stage that made it
-- started        timestamp with time zone  when its work began
create or replace view clip_stages as
select
    max(a.identity) as identity,
    l.parent as clip,
    a.kind,
    arg_max(a.id, a.started) as artifact,
    arg_max(a.stage_version, a.started) as stage_version,
    max(a.started) as started
from artifacts a
join lineage l on l.child = a.id
where l.role = 'clip' and a.kind in ('faces', 'track', 'audio', 'fit', 'features')
group by l.parent, a.kind;
