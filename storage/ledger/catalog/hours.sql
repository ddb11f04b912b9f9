-- Hours of footage, one row an identity.
--
-- identity         varchar  who
-- clips            bigint   clips that are worked with
-- hours            double   of those clips
-- extracted_hours  double   of those that have features
-- face_hours       double   in which a face is seen, of those that have features
-- speech_hours     double   in which somebody speaks, of those that have features
-- retired_clips    bigint   clips whose files are gone
-- retired_hours    double   of those
create or replace view hours as
select
    identity,
    count(*) filter (not retired) as clips,
    coalesce(sum(duration_s) filter (not retired), 0) / 3600 as hours,
    coalesce(sum(duration_s) filter (not retired and features is not null), 0) / 3600 as extracted_hours,
    coalesce(sum(duration_s * face_share) filter (not retired), 0) / 3600 as face_hours,
    coalesce(sum(duration_s * voice_share) filter (not retired), 0) / 3600 as speech_hours,
    count(*) filter (retired) as retired_clips,
    coalesce(sum(duration_s) filter (retired), 0) / 3600 as retired_hours
from clip_quality
group by identity;
