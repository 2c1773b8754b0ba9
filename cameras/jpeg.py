"""Check JPEG images for completeness: decoders fill missing parts without an error."""

import av

BEGIN, END = b"\xff\xd8", b"\xff\xd9"
STRICT = {"err_detect": "explode"}
"""Makes FFmpeg's decoder reject an image with missing blocks; the end marker may be missing."""
_MAX_ZEROS = 16


def is_complete(encoded: bytes) -> bool:
    """Whether all blocks of an image can be decoded, and none was written as zeros."""
    if ends_in_zeros(encoded):
        return False
    decoder = av.CodecContext.create("mjpeg", "r")
    decoder.options = STRICT
    try:
        return bool(decoder.decode(av.Packet(encoded)))
    except av.error.InvalidDataError:
        return False
    except av.error.FFmpegError:  # a variant that FFmpeg does not support
        return True


def ends_in_zeros(encoded: bytes) -> bool:
    """Whether the rest of an image is zeros, as in a file that was never fully written.

    Zeros are valid blocks, so no decoder reports them. After the end marker they are harmless.
    """
    filled = encoded.rstrip(b"\0")
    return len(encoded) - len(filled) > _MAX_ZEROS and not filled.endswith(END)
