#!/bin/bash
# Fuzzes the SavedModel loader with libFuzzer and AddressSanitizer, starting from the fixtures.
#
#   Tests/Fuzz/Loader/run.sh [seconds for each entry, default 60] [entry ...]      entries: Graph Index Shard Text
#
# What makes it crash is left in Tests/Fuzz/Loader/Cases/ENTRY-MODEL-...
set -euo pipefail
cd "$(dirname "$0")"
SECONDS_EACH="${1:-60}"
shift || true
FIXTURES=../../Fixtures
BUILD=../../../.build/fuzz-loader
swift build -c release --scratch-path "$BUILD" --product loader-fuzzer \
  -Xswiftc -sanitize=fuzzer,address -Xcc -fsanitize=fuzzer-no-link,address
mkdir -p Cases
for entry in "${@:-Graph Index Shard Text}"; do
  for name in $entry; do
    case "$name" in
      Graph) models="half_plus_two half_plus_two_tf1 control_flow functions signatures"; file=saved_model.pb ;;
      Index) models="half_plus_two dtypes"; file=variables/variables.index ;;
      Shard) models="half_plus_two dtypes"; file=variables/variables.data-00000-of-00001 ;;
      Text) models="half_plus_two_pbtxt"; file=saved_model.pbtxt ;;
    esac
    for model in $models; do
      echo "== $name $model"
      seeds="$BUILD/seeds/$name-$model"
      mkdir -p "$seeds"
      cp "$FIXTURES/$model/1/$file" "$seeds/fixture"
      FUZZ_ENTRY="$name" FUZZ_MODEL="$FIXTURES/$model/1" ASAN_OPTIONS=detect_leaks=0 \
        "$BUILD/release/loader-fuzzer" "$seeds" -max_total_time="$SECONDS_EACH" -max_len=65536 -rss_limit_mb=3000 \
        -artifact_prefix="Cases/$name-$model-" -print_final_stats=1 2>&1 |
        grep -E "ERROR|SUMMARY|Fatal|stat::number_of_executed_units|crash-|timeout-|oom-" || true
    done
  done
done
rm -rf /dev/shm/martlet-fuzz-*
