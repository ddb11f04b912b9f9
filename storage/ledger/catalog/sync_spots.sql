-- Where sound and picture may not be together: one row a live clip with features, and one a dub that was evaluated.
--
-- identity      varchar  who is seen
-- kind          varchar  clip: as filmed; dub: as made
-- artifact      varchar  features of the clip, or the dub
-- clip          varchar  the clip, or the one that was dubbed
-- method        varchar  of a dub
-- late_frames   double   by how many frames sound comes late (clip), or lips do (dub)
-- confidence    double   of a clip: 0 to 1, how sure that is
-- moved_frames  double   of a clip: by how many frames its sound was moved for extraction
-- opening       double   of a dub: correlation of the lips' opening with the true one's
-- sync_c        double   of a dub: confidence of the expert that lips and sound go together
-- weak          boolean  worth a look
-- why           varchar  what is weak
create or replace view sync_spots as
with heard as (
    select
        artifact,
        max(value) filter (metric = 'offset_frames') as late_frames,
        max(value) filter (metric = 'offset_confidence') as confidence,
        max(value) filter (metric = 'sound_moved_frames') as moved_frames
    from metrics
    where starts_with(artifact, 'features-') and metric in ('offset_frames', 'offset_confidence', 'sound_moved_frames')
    group by artifact
),
filmed as (
    select
        s.identity,
        'clip' as kind,
        s.artifact,
        s.clip,
        null::varchar as method,
        h.late_frames,
        h.confidence,
        h.moved_frames,
        null::double as opening,
        null::double as sync_c,
        case
            when c.silent then null
            when h.confidence < 0.5 then 'nobody can tell whether its sound is late'
            when abs(h.late_frames) >= 1.5 and h.moved_frames = 0 then 'out of step, and left so'
            when abs(h.late_frames) >= 1.5 then 'out of step, and corrected'
        end as why
    from clip_stages s
    join clips c on c.id = s.clip and c.retired_at is null
    join heard h on h.artifact = s.artifact
    where s.kind = 'features'
),
figures as (
    select
        identity,
        dub,
        arg_max(clip, started) as clip,
        arg_max(method, started) as method,
        -- Sound that is late is lips that are early.
        arg_max(if(figure = 'offset', -value, value), started) filter (figure in ('late_frames', 'offset')) as late_frames,
        arg_max(value, started) filter (figure = 'opening') as opening,
        arg_max(value, started) filter (figure = 'sync_c') as sync_c
    from evaluations
    where dub is not null
    group by identity, dub
),
made as (
    select
        identity,
        'dub' as kind,
        dub as artifact,
        clip,
        method,
        late_frames,
        null::double as confidence,
        null::double as moved_frames,
        opening,
        sync_c,
        case
            when abs(late_frames) >= 1.5 then 'lips are late or early'
            when opening < 0.5 then 'lips do not open as the true ones'
        end as why
    from figures
)
select
    identity, kind, artifact, clip, method, late_frames, confidence, moved_frames, opening, sync_c,
    why is not null as weak, why
from (from filmed union all by name from made);
