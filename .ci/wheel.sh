#!/usr/bin/env bash
# The wheel as a user gets it, in an empty environment: the core alone, then with the study.
set -euo pipefail
cd "$(dirname "$0")/.."
repository=$PWD
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"${PYTHON:-python3}" -m venv "$folder/venv"
python=$folder/venv/bin/python
"$python" -m pip install --quiet --constraint constraints.txt "pip>=25.1"
"$python" -m pip wheel --quiet --no-deps --wheel-dir "$folder" .
wheel=$(echo "$folder"/wider-*.whl)

cd "$folder" # where the sources are not
"$python" -m pip install --quiet --constraint "$repository/constraints.txt" "$wheel"
"$python" "$repository/.ci/core.py"
status=0
venv/bin/wider demo >refused 2>&1 || status=$?
[ $status -eq 2 ] && grep --quiet "pip install 'wider\[study\]'" refused

"$python" -m pip install --quiet --constraint "$repository/constraints.txt" "$wheel[study]"
venv/bin/wider demo
[ -s demo-report.html ]
"$python" -c 'import wider; assert len(wider.open_study("figure-4").table) == 514'
