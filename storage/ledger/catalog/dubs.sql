-- One row a dub: whom it shows, over what, saying what, by which method.
--
-- identity         varchar                   who is seen
-- dub              varchar                   artifact id
-- method           varchar                   which system
-- preset           varchar                   smoke, cpu, gpu, ...
-- template         varchar                   clip that it was made over
-- template_name    varchar                   file which that came from
-- speech           varchar                   sha256:<hash> of the sound
-- speech_name      varchar                   name of that file
-- speech_s         double                    seconds
-- frames           bigint                    of the film
-- untouched_share  double                    share of the frames that are the template's own
-- turns            bigint                    how often the template was walked back
-- memory           varchar                   explicit memory that it was drawn with
-- checkpoints      bigint                    trained networks that it was made with
-- evaluated        boolean                   an evaluation judges it
-- seconds          double                    that its making took
-- started          timestamp with time zone  when that began
-- bytes            bigint                    size
create or replace view dubs as
with told as (
    -- Rows from before these columns say it in their recipe, which takes long to parse.
    select
        *,
        if(
            method is null,
            json_extract_string(recipe, ['$.parameters.method', '$.parameters.preset']),
            [method, preset]
        ) as chosen
    from artifacts
    where starts_with(id, 'dub-')
),
inputs as (
    select
        child,
        max(parent) filter (role = 'template') as template,
        max(parent) filter (role = 'speech') as speech,
        max(parent_name) filter (role = 'speech') as speech_name,
        max(parent) filter (role = 'memory') as memory,
        count(*) filter (starts_with(role, 'checkpoint')) as checkpoints
    from lineage
    where starts_with(child, 'dub-')
    group by child
),
figures as (
    select
        artifact,
        max(value) filter (metric = 'dub_speech_s') as speech_s,
        max(value) filter (metric = 'dub_frames')::bigint as frames,
        max(value) filter (metric = 'dub_untouched_share') as untouched_share,
        max(value) filter (metric = 'dub_template_turns')::bigint as turns
    from metrics
    where starts_with(artifact, 'dub-')
    group by artifact
),
judged as (
    select distinct parent
    from lineage
    where starts_with(child, 'evaluation-') and starts_with(parent, 'dub-')
)
select
    t.identity,
    t.id as dub,
    t.chosen[1] as method,
    t.chosen[2] as preset,
    i.template,
    c.source_name as template_name,
    i.speech,
    i.speech_name,
    f.speech_s,
    f.frames,
    f.untouched_share,
    f.turns,
    i.memory,
    coalesce(i.checkpoints, 0) as checkpoints,
    j.parent is not null as evaluated,
    t.seconds,
    t.started,
    t.bytes
from told t
left join inputs i on i.child = t.id
left join figures f on f.artifact = t.id
left join clips c on c.id = i.template
left join judged j on j.parent = t.id;
