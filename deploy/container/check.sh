#!/usr/bin/env bash
# Runs an image without network, rights and a writable root, and checks that it watches and stops:
#
#   deploy/container/check.sh vedette            # ENGINE=docker: not with podman
set -euo pipefail
image=${1:-vedette}
engine=${ENGINE:-podman}
folder=$(mktemp -d)
name=vedette-check-$$
trap '"$engine" rm -f "$name" >/dev/null; rm -rf "$folder"' EXIT

cat > "$folder/vedette.yaml" <<'YAML'
cameras:
  street: {source: "synthetic:street?seed=1"}
YAML
chmod 0755 "$folder"
"$engine" run -d --name "$name" --read-only --tmpfs /tmp --network none --cap-drop ALL \
  --security-opt no-new-privileges ${RUN_OPTIONS:-} \
  -v "$folder/vedette.yaml:/etc/vedette/vedette.yaml:ro" "$image" >/dev/null

ask() {  # PATH: what the service answers; fails unless the status is 200
  "$engine" exec "$name" python3 -c "
import sys
from urllib.request import urlopen
print(urlopen('http://127.0.0.1:9464$1', timeout=5).read().decode())" 2>/dev/null
}

began=$SECONDS
until ask /readyz >/dev/null && ask /metrics | grep -q '^vedette_frames_scored_total'; do
  if [ $((SECONDS - began)) -gt 300 ]; then
    "$engine" logs "$name" >&2
    echo "no frame was scored within 300 s" >&2
    exit 1
  fi
  sleep 1
done
echo "ready, and a frame scored: after $((SECONDS - began)) s"
ask /readyz
"$engine" exec "$name" sh -c 'id; grep -E "CapEff|NoNewPrivs" /proc/1/status
  for file in /x /etc/x /opt/vedette/x; do ! touch "$file" 2>/dev/null || exit 1; done'
echo "nothing but the data folder and /tmp can be written"

began=$SECONDS
"$engine" stop -t 60 "$name" >/dev/null
status=$("$engine" inspect "$name" --format '{{.State.ExitCode}}')
echo "SIGTERM: exit status $status after $((SECONDS - began)) s"
"$engine" logs "$name" 2>&1 | tail -n 2
[ "$status" = 0 ]
"$engine" image inspect "$image" --format 'size: {{.Size}} bytes'
