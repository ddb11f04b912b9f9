-- Frames that show a head turned sideways by more than 30 degrees, by the newest track of each live clip.
--
-- identity    varchar  who is seen
-- clip        varchar  artifact id of the clip
-- track       varchar  artifact that says so
-- frame       integer  from 0
-- time_s      double   seconds from the clip's beginning
-- yaw_deg     double   turn sideways, in OpenFace's sign
-- pitch_deg   double   turn up and down, in OpenFace's sign
-- confidence  float    0 to 1, of the track
create or replace view profile_frames as
select
    f.identity,
    f.clip,
    f.artifact as track,
    f.frame,
    f.time_s,
    degrees(f.rotation_y_rad::double) as yaw_deg,
    degrees(f.rotation_x_rad::double) as pitch_deg,
    f.confidence
from frames f
join clip_stages s on s.artifact = f.artifact and s.kind = 'track'
join clips c on c.id = f.clip
where
    f.confidence > 0
    and abs(f.rotation_y_rad::double) > radians(30)
    and c.retired_at is null;
