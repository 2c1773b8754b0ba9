"""Whether a JPEG picture is whole: decoders fill what is missing, and say nothing."""

import av

BEGIN, END = b"\xff\xd8", b"\xff\xd9"
STRICT = {"err_detect": "explode"}
"""Makes FFmpeg's decoder refuse a picture of which blocks are missing; its last mark may be."""
_MOST_ZEROS = 16


def is_whole(encoded: bytes) -> bool:
    """Whether all blocks of a picture can be decoded, and none was written as zeros."""
    if ends_in_zeros(encoded):
        return False
    decoder = av.CodecContext.create("mjpeg", "r")
    decoder.options = STRICT
    try:
        return bool(decoder.decode(av.Packet(encoded)))
    except av.error.InvalidDataError:
        return False
    except av.error.FFmpegError:  # of a kind that FFmpeg does not know
        return True


def ends_in_zeros(encoded: bytes) -> bool:
    """Whether zeros stand for the rest of a picture, as of a file that was never fully written.

    Zeros are valid blocks, so no decoder objects. After the last mark they are harmless.
    """
    filled = encoded.rstrip(b"\0")
    return len(encoded) - len(filled) > _MOST_ZEROS and not filled.endswith(END)
