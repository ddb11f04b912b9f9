from fractions import Fraction

import av
import numpy as np
import pytest

from storage.media import MediaWriter, VideoReader, probe

CORNERS = np.array([[[230, 40, 40], [40, 200, 40]], [[40, 40, 220], [230, 230, 230]]], np.uint8)
COLOURS = [(200, 30, 30), (30, 180, 40), (30, 60, 210), (210, 170, 140), (128, 128, 128), (20, 20, 20)]


def corners(number: int, size: tuple[int, int]) -> np.ndarray:
    """Red, green / blue, white quarters."""
    width, height = size
    return CORNERS.repeat(height // 2, 0).repeat(width // 2, 1)


def patches(number: int, size: tuple[int, int]) -> np.ndarray:
    width, height = size
    row = np.array(COLOURS, np.uint8).repeat(width // len(COLOURS), 0)
    return np.broadcast_to(row, (height, *row.shape)).copy()


def quarters(picture: np.ndarray) -> list[list[int]]:
    """Which corner colour stands in each quarter."""
    height, width = picture.shape[:2]
    middles = picture[height // 4 :: height // 2, width // 4 :: width // 2][:2, :2].astype(int)
    distances = np.abs(middles[:, :, None] - CORNERS.reshape(4, 3).astype(int)).sum(-1)
    return distances.argmin(-1).tolist()


def middles(picture: np.ndarray) -> np.ndarray:
    width = picture.shape[1] // len(COLOURS)
    return picture[picture.shape[0] // 2, width // 2 :: width].astype(int)


def upright(rotation: float, mirrored: bool) -> list[list[int]]:
    """What a player shows: turned counter-clockwise, then mirrored left to right."""
    shown = np.rot90(np.array([[0, 1], [2, 3]]), round(rotation / 90))
    return (shown[:, ::-1] if mirrored else shown).tolist()


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_all_eight_orientations_come_out_upright(studio, rotation, mirrored, name):
    path = studio(
        name=name, size=(128, 64), frames=8, picture=corners, rotation=float(rotation), mirrored=mirrored
    )
    expected = (64, 128) if rotation in (90, 270) else (128, 64)
    video = probe(path).video
    assert video.display_size == expected
    assert video.orientation.mirrored == mirrored
    if not mirrored:
        assert video.rotation == (360 - rotation) % 360
    picture = next(iter(VideoReader(path)))
    assert picture.shape == (*expected[::-1], 3)
    assert quarters(picture) == upright(rotation, mirrored)


def test_a_stored_size_is_the_upright_one(studio):
    path = studio(size=(128, 64), frames=4, picture=corners, rotation=90.0)
    picture = next(iter(VideoReader(path, size=(96, 192))))
    assert picture.shape == (192, 96, 3)
    assert quarters(picture) == upright(90, False)


@pytest.mark.parametrize("aspect", [Fraction(4, 3), Fraction(16, 15), Fraction(8, 9), Fraction(1)])
@pytest.mark.parametrize("rotation", [None, 90.0])
def test_pixels_become_square_before_turning(studio, aspect, rotation):
    path = studio(size=(144, 64), frames=4, aspect=aspect, rotation=rotation, picture=corners)
    size = (round(144 * aspect), 64)
    expected = size if rotation is None else size[::-1]
    assert probe(path).video.display_size == expected
    assert next(iter(VideoReader(path))).shape == (expected[1], expected[0], 3)


@pytest.mark.parametrize("size", [(97, 65), (65, 97), (101, 64)])
@pytest.mark.parametrize("codec", ["ffv1", "libx264"])
def test_odd_sizes_keep_every_row_and_column(studio, size, codec):
    path = studio(name="a.mkv", codec=codec, size=size, pixels="yuv444p", frames=4)
    assert probe(path).video.display_size == size
    assert next(iter(VideoReader(path))).shape == (size[1], size[0], 3)


@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv420p10le"])
def test_named_matrix_and_range_are_obeyed(studio, matrix, full_range, pixels):
    options = {"qp": "4"}
    path = studio(
        size=(192, 64),
        frames=2,
        picture=patches,
        matrix=matrix,
        full_range=full_range,
        pixels=pixels,
        options=options,
    )
    seen = middles(next(iter(VideoReader(path))))
    assert np.abs(seen - np.array(COLOURS)).max() <= 5


@pytest.mark.parametrize(("size", "sws"), [((192, 64), 5), ((1296, 720), 1), ((720, 1280), 1)])
def test_an_unnamed_matrix_goes_by_size(tmp_path, size, sws):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"qp": "4", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        frame = av.VideoFrame.from_ndarray(patches(0, size), "rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=sws, dst_color_range=1)
        frame.colorspace, frame.color_range = 2, 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert np.abs(middles(next(iter(VideoReader(path)))) - np.array(COLOURS)).max() <= 5


def test_gradients_in_ten_bit_come_out_smooth(studio):
    def ramp(number, size):
        line = np.linspace(20, 235, size[0]).astype(np.uint8)
        return np.broadcast_to(line[None, :, None], (size[1], size[0], 3)).copy()

    path = studio(size=(256, 64), frames=2, picture=ramp, pixels="yuv420p10le", options={"qp": "2"})
    seen = next(iter(VideoReader(path))).astype(int)
    assert np.abs(seen - ramp(0, (256, 64)).astype(int)).max() <= 4


@pytest.mark.parametrize("size", [(192, 64), (1296, 720)])
def test_colours_survive_writing_and_reading(tmp_path, size):
    path = tmp_path / "a.mp4"
    with MediaWriter(path, size, Fraction(25), crf=4, preset="ultrafast") as writer:
        for _ in range(2):
            writer.write_frame(patches(0, size))
    assert np.abs(middles(next(iter(VideoReader(path)))) - np.array(COLOURS)).max() <= 4
    with av.open(str(path)) as source:
        context = source.streams.video[0].codec_context
        named = (context.colorspace, context.color_primaries, context.color_trc, context.color_range)
    assert named == (1, 1, 1, 1)


@pytest.mark.parametrize(("transfer", "white"), [(18, 0.75), (16, 0.58)], ids=["hlg", "pq"])
def test_hdr_white_becomes_white(tmp_path, transfer, white):
    """Reference white (203 candela) stands at 75 % in HLG and 58 % in PQ; undone, it would look grey."""
    path = tmp_path / "hdr.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx265", rate=25, options={"x265-params": "log-level=none:pools=1:qp=4"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p10le"
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = (
            9,
            9,
            transfer,
            1,
        )
        frame = av.VideoFrame(64, 64, "yuv420p10le")
        for plane, level in zip(frame.planes, (64 + round(876 * white), 512, 512), strict=True):
            plane.update(np.full(plane.buffer_size // 2, level, np.uint16).tobytes())
        frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range = 9, 9, transfer, 1
        frame.pts = 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            # x265 makes times up, now and then some that no file can hold.
            packet.pts = packet.dts = 0
            out.mux(packet)
    assert next(iter(VideoReader(path))).min() >= 240


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_interlaced_motion_has_no_comb(studio, codec):
    def combed(number, size):
        """A bar that has moved on by the time the second field is taken."""
        picture = np.full((size[1], size[0], 3), 40, np.uint8)
        picture[0::2, 20:50] = 210
        picture[1::2, 40:70] = 210
        return picture

    options = {
        "libx264": {"x264-params": "tff=1", "qp": "4"},
        "mpeg2video": {"flags": "+ildct+ilme", "q": "1"},
    }
    film = {"codec": codec, "options": options[codec], "size": (96, 64), "frames": 4, "picture": combed}
    path = studio(**film, name="a.mkv", b_frames=0)
    assert probe(path).video.interlaced
    picture = next(iter(VideoReader(path, form="gray"))).astype(int)
    assert picture.shape == (64, 96)
    assert np.abs(np.diff(picture[4:-4], axis=0)).max() < 25
    assert picture[32, 30] > 180
    assert picture[32, 60] < 80


def in_colour(planes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The planes of one picture as RGB, chroma taken from the nearest sample."""
    height, width = planes.shape[0] * 2 // 3, planes.shape[1]
    chroma = planes[height:].reshape(2, height // 2, width // 2).repeat(2, 1).repeat(2, 2)
    stacked = np.stack([planes[:height], *chroma, np.ones((height, width))], -1)
    return np.clip(np.rint(stacked @ matrix.T), 0, 255)


@pytest.mark.parametrize("rotation", [0, 90])
def test_planes_are_the_same_picture(studio, rotation):
    from storage.media import YUV_TO_RGB

    path = studio(size=(96, 64), frames=4, picture=corners, rotation=float(rotation))
    rgb = list(VideoReader(path))
    planes = list(VideoReader(path, form="yuv420p"))
    assert len(planes) == len(rgb) == 4
    for flat, picture in zip(planes, rgb, strict=True):
        height, width = picture.shape[:2]
        assert flat.shape == (height * 3 // 2, width)
        painted = in_colour(flat, YUV_TO_RGB)
        assert np.abs(middles_of(painted) - middles_of(picture)).max() <= 3


def middles_of(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    return picture[height // 4 :: height // 2, width // 4 :: width // 2][:2, :2].astype(int)


def test_a_clip_is_handed_over_as_it_is_stored(tmp_path):
    path = tmp_path / "clip.mp4"
    with MediaWriter(path, size=(96, 64), rate=Fraction(25)) as writer:
        for number in range(3):
            writer.write_frame(patches(number, (96, 64)))
    with av.open(str(path)) as source:
        stored = [frame.to_ndarray() for frame in source.decode(video=0)]
    assert np.array_equal(list(VideoReader(path, form="yuv420p")), stored)
