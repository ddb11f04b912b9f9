-- What evaluations found, long: one row a method and figure.
--
-- identity    varchar                   who is seen
-- evaluation  varchar                   artifact id of the evaluation
-- clip        varchar                   that was dubbed over, and is the truth unless driven; of several, the first
-- method      varchar                   which system
-- dub         varchar                   its dub of that clip, with the right sound; null where several clips were
-- split       varchar                   held_out: no network was trained on these seconds; all; driven: by other speech, without a truth
-- figure      varchar                   what was measured
-- value       double                    null where it cannot be told
-- low         double                    lower end of its interval, where there is one
-- high        double                    upper end of it
-- count       bigint                    of how many values, where that was kept
-- started     timestamp with time zone  when the evaluation began
create or replace view evaluations as
with absent as (
    -- Ledgers from before these columns existed named the method in the metric.
    select null::varchar as method, null::double as low, null::double as high, null::bigint as count
    where false
),
told as (
    select
        artifact,
        split,
        value,
        low,
        high,
        count::bigint as count,
        coalesce(method, split_part(metric, ' ', 1)) as method,
        if(method is null, substr(metric, strpos(metric, ' ') + 1), metric) as figure
    from (select * from metrics where starts_with(artifact, 'evaluation-') union all by name from absent)
),
inputs as (
    select child, parent, role from lineage where starts_with(child, 'evaluation-')
)
select
    a.identity,
    t.artifact as evaluation,
    truth.parent as clip,
    t.method,
    if(several.child is null, dub.parent, null) as dub,
    t.split,
    t.figure,
    t.value,
    t.low,
    t.high,
    t.count,
    a.started
from told t
join artifacts a on a.id = t.artifact
left join inputs truth on truth.child = t.artifact and truth.role in ('truth', 'template')
left join inputs dub on dub.child = t.artifact and dub.role = t.method
left join inputs several on several.child = t.artifact and several.role in ('truth 2', 'template 2');
