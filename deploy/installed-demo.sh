#!/usr/bin/env bash
# Installs a wheel into a new environment and runs the demo there, away from any checkout.
#
#   deploy/installed-demo.sh dist/vedette-0.1.0-py3-none-any.whl [SECONDS]
set -euo pipefail
constraints=$(cd "$(dirname "$0")/.." && pwd)/constraints.txt
wheel=$(realpath "$1")
seconds=${2:-120}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
unset PYTHONPATH

python3 -m venv env
env/bin/pip install -q --disable-pip-version-check -c "$constraints" "$wheel"
env/bin/python - "$folder/env" <<'PYTHON'
import sys
from pathlib import Path

import cameras, models, pipeline

for root in (cameras, models, pipeline):
    assert Path(root.__file__).is_relative_to(sys.argv[1]), f"{root.__file__} is not of the wheel"
PYTHON
env/bin/vedette --version
VEDETTE_CAMERA_USER=a VEDETTE_CAMERA_PASSWORD=b \
  env/bin/vedette validate -c env/share/vedette/vedette.example.yaml
PYAV_LOGGING=off env/bin/vedette demo --seconds "$seconds" --data-folder "$folder/data"
