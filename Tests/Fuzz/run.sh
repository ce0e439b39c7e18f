#!/bin/bash
# Fuzzes the parser with libFuzzer and AddressSanitizer, starting from Corpus/.
#
#   Tests/Fuzz/run.sh [seconds for each entry, default 60] [entry ...]
#
# What makes it crash is left in Corpus/ENTRY/, where MessagesTests replays it from then on.
set -euo pipefail
cd "$(dirname "$0")"
SECONDS_EACH="${1:-60}"
shift || true
BUILD=../../.build/fuzz
mkdir -p "$BUILD"
FLAGS=(
  -O -g -swift-version 6 -parse-as-library -sanitize=fuzzer,address -strict-memory-safety
  -enable-experimental-feature Lifetimes -enable-upcoming-feature ExistentialAny
  -enable-upcoming-feature InternalImportsByDefault -enable-upcoming-feature MemberImportVisibility -I "$BUILD"
)
OBJECTS=()
module() {
  swiftc "${FLAGS[@]}" -wmo -module-name "$1" -emit-module -emit-module-path "$BUILD/$1.swiftmodule" \
    -emit-object -o "$BUILD/$1.o" "$2"/*.swift
  OBJECTS+=("$BUILD/$1.o")
}
module Tensors ../../Sources/Tensors
module Wire ../../Sources/Wire
module Messages ../../Sources/Messages
module FuzzEntries Entries
# gold warns of each of AddressSanitizer's local symbols.
swiftc "${FLAGS[@]}" Fuzzer.swift "${OBJECTS[@]}" -o "$BUILD/fuzzer" 2> >(grep -v 'Cannot export local symbol' >&2)
for entry in "${@:-$(ls Corpus)}"; do
  for name in $entry; do
    echo "== $name"
    mkdir -p "$BUILD/found/$name"
    FUZZ_ENTRY="$name" "$BUILD/fuzzer" "$BUILD/found/$name" "Corpus/$name" \
      -max_total_time="$SECONDS_EACH" -max_len=4096 -artifact_prefix="Corpus/$name/" -print_final_stats=1 2>&1 |
      grep -E "ERROR|SUMMARY|Fatal|stat::number_of_executed_units|crash-|timeout-|oom-" || true
    if ls "Corpus/$name" | grep -qE '^(crash|timeout|oom)-'; then
      echo "$name: an input breaks it, see Corpus/$name" >&2
      exit 1
    fi
  done
done
