-- One row a trained network, with its best figures on what its training held back.
--
-- identity        varchar                   whose; null for general ones
-- checkpoint      varchar                   artifact id
-- method          varchar                   memface, dinet, ...
-- preset          varchar                   smoke, cpu, gpu, ...
-- stage           varchar                   of the method: expression, frame, ...
-- newest          boolean                   the last of its identity, method, preset and stage
-- held_out_share  double                    share of each clip that was held back
-- clips           bigint                    how many sets of features it was trained on
-- loss            double                    on what was held back
-- held_out        map(varchar, double)      every figure on what was held back
-- steps           bigint                    of its training
-- best_step       bigint                    the one that was kept
-- seconds         double                    of its training
-- started         timestamp with time zone  when it began
-- bytes           bigint                    size
create or replace view checkpoints as
with told as (
    select
        * exclude (method, preset, stage, recipe),
        chosen[1] as method,
        chosen[2] as preset,
        chosen[3] as stage,
        chosen[4] as held_out_share
    from (
        select
            *,
            json_extract_string(
                recipe,
                ['$.parameters.method', '$.parameters.preset', '$.parameters.stage', '$.parameters.held_out']
            ) as chosen
        from artifacts
        where starts_with(id, 'checkpoint-')
    )
),
inputs as (
    select child, count(*) filter (starts_with(role, 'features')) as clips
    from lineage
    where starts_with(child, 'checkpoint-')
    group by child
),
figures as (
    select
        artifact,
        max(value) filter (metric = 'loss' and split = 'held_out') as loss,
        map_from_entries(
            list({'k': metric, 'v': value} order by metric) filter (split = 'held_out')
        ) as held_out,
        max(value) filter (metric = 'training steps')::bigint as steps,
        max(value) filter (metric = 'training best_step')::bigint as best_step,
        max(value) filter (metric = 'training seconds') as seconds
    from metrics
    where starts_with(artifact, 'checkpoint-') and not contains(metric, ' @ ')
    group by artifact
)
select
    t.identity,
    t.id as checkpoint,
    t.method,
    t.preset,
    t.stage,
    row_number() over (
        partition by t.identity, t.method, t.preset, t.stage
        order by t.started desc, t.id
    ) = 1 as newest,
    t.held_out_share::double as held_out_share,
    coalesce(i.clips, 0) as clips,
    f.loss,
    f.held_out,
    f.steps,
    f.best_step,
    f.seconds,
    t.started,
    t.bytes
from told t
left join inputs i on i.child = t.id
left join figures f on f.artifact = t.id;
