"""GStreamer's RTSP server on loopback, as an independent implementation; uses the system's Python.

/usr/bin/python3 tests/gst_camera.py      prints its port, and serves until it is killed
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

QUICK = "tune=zerolatency speed-preset=ultrafast key-int-max=10"
MOUNTS = {
    "h264": f"x264enc {QUICK} ! rtph264pay name=pay0 pt=96",
    "reordered": "x264enc speed-preset=veryfast bframes=2 b-adapt=false rc-lookahead=2 "
    "sync-lookahead=0 key-int-max=10 ! rtph264pay name=pay0 pt=96",
    "hevc": f"x265enc {QUICK} ! rtph265pay name=pay0 pt=96",
    "mjpeg": "jpegenc ! rtpjpegpay name=pay0",
}
SOURCE = (
    "videotestsrc is-live=true pattern=ball ! "
    "video/x-raw,format=I420,width=320,height=240,framerate=25/1 ! "
)


def main() -> None:
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(2)  # digest
    watcher = GstRtspServer.RTSPToken()
    watcher.set_string("media.factory.role", "watcher")
    auth.add_digest("cam", "s3cret", watcher)
    server.set_auth(auth)
    for name, elements in MOUNTS.items():
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(f"( {SOURCE}{elements} )")
        factory.set_shared(True)
        factory.add_role_from_structure(
            Gst.Structure.from_string(
                "watcher, media.factory.access=(boolean)true, media.factory.construct=(boolean)true"
            )[0]
        )
        server.get_mount_points().add_factory(f"/{name}", factory)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    sys.exit(main())
