-- One row a clip: what it is, and the figures of its newest features' preflight (null before extraction).
--
-- identity        varchar  who is seen
-- clip            varchar  artifact id of the clip
-- source_name     varchar  name of the file it came from
-- retired         boolean  its files are gone: it is kept, and not worked with
-- duration_s      double   seconds
-- width_px        integer  width
-- height_px       integer  height
-- rate            double   frames a second
-- features        varchar  the newest features of it
-- face_share      double   share of the frames with a face
-- face_px         double   median height of the face, brows to chin
-- mouth_px        double   median side of the mouth's square
-- size_ratio      double   the largest face over the smallest within a shot
-- yaw_low_deg     double   2nd percentile of the head's turn sideways
-- yaw_high_deg    double   98th percentile of it
-- pitch_low_deg   double   2nd percentile of the head's turn up and down
-- pitch_high_deg  double   98th percentile of it
-- turned_share    double   share of the frames with a face, turned by more than 30 degrees
-- sharpness       double   median; 0.5 and more is crisp, below 0.2 is blurred
-- shots           integer  how often the camera was elsewhere
-- voice_share     double   share of the time in which somebody speaks
-- loudness_lufs   double   median while somebody speaks
create or replace view clip_quality as
with figures as (
    select
        artifact,
        max(value) filter (metric = 'preflight_face_share') as face_share,
        max(value) filter (metric = 'preflight_face_px') as face_px,
        max(value) filter (metric = 'preflight_mouth_px') as mouth_px,
        max(value) filter (metric = 'preflight_size_ratio') as size_ratio,
        max(value) filter (metric = 'preflight_yaw_low_deg') as yaw_low_deg,
        max(value) filter (metric = 'preflight_yaw_high_deg') as yaw_high_deg,
        max(value) filter (metric = 'preflight_pitch_low_deg') as pitch_low_deg,
        max(value) filter (metric = 'preflight_pitch_high_deg') as pitch_high_deg,
        max(value) filter (metric = 'preflight_turned_share') as turned_share,
        max(value) filter (metric = 'preflight_sharpness') as sharpness,
        max(value) filter (metric = 'preflight_shots')::integer as shots,
        max(value) filter (metric = 'preflight_voice_share') as voice_share,
        max(value) filter (metric = 'preflight_loudness_lufs') as loudness_lufs
    from metrics
    where starts_with(artifact, 'features-')
    group by artifact
)
select
    c.identity,
    c.id as clip,
    c.source_name,
    c.retired_at is not null as retired,
    c.duration_s,
    c.width_px,
    c.height_px,
    c.rate_num / c.rate_den as rate,
    s.artifact as features,
    f.* exclude (artifact)
from clips c
left join clip_stages s on s.clip = c.id and s.kind = 'features'
left join figures f on f.artifact = s.artifact;
