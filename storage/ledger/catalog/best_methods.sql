-- Which method an identity is served best by, figure for figure: means over clips of the newest evaluation of each.
--
-- identity      varchar  who is seen
-- figure        varchar  what was measured; only figures of which it is known what is better
-- better        varchar  more, less, or near 0
-- method        varchar  the best
-- value         double   its mean; of near 0, the mean distance from it
-- clips         bigint   how many clips it was measured on
-- methods       bigint   how many methods were compared
-- second        varchar  the next best
-- second_value  double   its mean
create or replace view best_methods as
with ways (figure, better) as (
    values
        ('opening', 'more'), ('psnr_db', 'more'), ('psnr', 'more'), ('ssim', 'more'), ('sync_c', 'more'),
        ('lse_c', 'more'), ('crop_likeness', 'more'), ('identity', 'more'), ('seen_share', 'more'), ('seen', 'more'), ('lips_percent', 'less'),
        ('lmd', 'less'), ('lmd_centred', 'less'), ('lpips', 'less'), ('sync_d', 'less'), ('lse_d', 'less'),
        ('leakage_share', 'less'), ('late_frames', 'near 0'), ('sync_offset', 'near 0'), ('offset', 'near 0')
),
newest as (
    select identity, clip, method, figure, arg_max(value, started) as value
    from evaluations
    where value is not null and method <> 'truth' and split <> 'driven'
    group by identity, clip, method, figure
),
means as (
    select
        n.identity,
        n.figure,
        w.better,
        n.method,
        avg(if(w.better = 'near 0', abs(n.value), n.value)) as value,
        count(*) as clips
    from newest n
    join ways w using (figure)
    group by n.identity, n.figure, w.better, n.method
),
placed as (
    select
        *,
        row_number() over best as place,
        lead(method) over best as second,
        lead(value) over best as second_value,
        count(*) over (partition by identity, figure) as methods
    from means
    window best as (partition by identity, figure order by if(better = 'more', -value, value), method)
)
select identity, figure, better, method, value, clips, methods, second, second_value
from placed
where place = 1;
