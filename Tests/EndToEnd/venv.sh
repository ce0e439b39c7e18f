#!/bin/bash
# Makes .venv with the real TensorFlow Serving client, unless it is there already as the requirements want it.
set -euo pipefail
cd "$(dirname "$0")"
venv=../../.venv
wanted=$(sha256sum requirements.txt)
[ -f $venv/.made-from ] && [ "$(cat $venv/.made-from)" = "$wanted" ] && exit 0

rm -rf $venv
python3 -m venv $venv
pip=($venv/bin/pip --disable-pip-version-check install --quiet --no-cache-dir)
"${pip[@]}" --requirement requirements.txt
# The client's package asks for `tensorflow`, which is tensorflow-cpu under another name: it comes without its dependencies.
"${pip[@]}" --no-deps tensorflow-serving-api==2.21.0
echo "$wanted" > $venv/.made-from
