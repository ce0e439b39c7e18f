#!/bin/bash
# Fuzzes the parsers of messages, of REST's bodies, of HTTP/1.1 requests and of protobuf text format with libFuzzer and AddressSanitizer, starting from Corpus/.
#
#   Tests/Fuzz/run.sh [seconds for each entry, default 60] [entry ...]
#
# What makes it crash is left in Corpus/ENTRY/, where MessagesTests, HTTPTests and ServerTests replay it from then on.
set -euo pipefail
cd "$(dirname "$0")"
SECONDS_EACH="${1:-60}"
shift || true
BUILD=../../.build/fuzz
mkdir -p "$BUILD"
FLAGS=(
  -O -g -swift-version 6 -package-name martlet -parse-as-library -sanitize=fuzzer,address -strict-memory-safety
  -enable-experimental-feature Lifetimes -enable-upcoming-feature ExistentialAny
  -enable-upcoming-feature InternalImportsByDefault -enable-upcoming-feature MemberImportVisibility -I "$BUILD"
)
module() {
  name="$1"
  shift
  swiftc "${FLAGS[@]}" -wmo -module-name "$name" -emit-module -emit-module-path "$BUILD/$name.swiftmodule" \
    -emit-object -o "$BUILD/$name.o" "$@"
}
# gold warns of each of AddressSanitizer's local symbols.
link() { swiftc "${FLAGS[@]}" "$@" 2> >(grep -v 'Cannot export local symbol' >&2); }

module Tensors ../../Sources/Tensors/*.swift
module Wire ../../Sources/Wire/*.swift
module Messages ../../Sources/Messages/*.swift
# Records checks its sums in C.
mkdir -p "$BUILD/CLinux"
echo "module CLinux { header \"$(cd ../.. && pwd)/Sources/CLinux/include/CLinux.h\" export * }" > "$BUILD/CLinux/module.modulemap"
clang -O2 -c ../../Sources/CLinux/crc32c.c -I ../../Sources/CLinux/include -o "$BUILD/crc32c.o"
FLAGS+=(-I "$BUILD/CLinux")
module Records ../../Sources/Records/*.swift
# JSON reads and writes its numbers in C, which the sanitizer watches as well.
mkdir -p "$BUILD/CKernels"
echo "module CKernels { header \"$(cd ../.. && pwd)/Sources/CKernels/include/CKernels.h\" export * }" > "$BUILD/CKernels/module.modulemap"
for part in json_numbers json_print; do
  clang -O2 -g -fsanitize=fuzzer-no-link,address -c "../../Sources/CKernels/$part.c" -I ../../Sources/CKernels/include -o "$BUILD/$part.o"
done
FLAGS+=(-I "$BUILD/CKernels")
module JSON ../../Sources/JSON/*.swift
module FuzzEntries Entries/*.swift
link Fuzzer.swift "$BUILD"/{Tensors,Wire,Messages,Records,crc32c,json_numbers,json_print,JSON,FuzzEntries}.o -o "$BUILD/fuzzer"

# Of HTTP only what reads a request: that part needs no C library.
module HTTP -enable-testing ../../Sources/HTTP/{Bytes/ByteBuffer,HeaderBlock}.swift \
  ../../Sources/HTTP/HTTP1/{Authority,Base64URL,ByteSet,RequestError,RequestParser,RequestParser+Fields}.swift
module RequestReading -enable-testing ../HTTPTests/HTTP1/RequestReading.swift
link RequestFuzzer.swift "$BUILD"/{HTTP,RequestReading}.o -o "$BUILD/request-fuzzer"

module TextFormat -enable-testing ../../Sources/server/Configuration/TextFormatTree.swift
link TextFuzzer.swift "$BUILD"/TextFormat.o -o "$BUILD/text-fuzzer"

for entry in "${@:-$(ls Corpus)}"; do
  for name in $entry; do
    echo "== $name"
    mkdir -p "$BUILD/found/$name"
    fuzzer=fuzzer
    [ "$name" = HTTP1Request ] && fuzzer=request-fuzzer
    [ "$name" = TextFormat ] && fuzzer=text-fuzzer
    FUZZ_ENTRY="$name" "$BUILD/$fuzzer" "$BUILD/found/$name" "Corpus/$name" \
      -max_total_time="$SECONDS_EACH" -max_len=4096 -artifact_prefix="Corpus/$name/" -print_final_stats=1 2>&1 |
      grep -E "ERROR|SUMMARY|Fatal|stat::number_of_executed_units|crash-|timeout-|oom-" || true
    if ls "Corpus/$name" | grep -qE '^(crash|timeout|oom)-'; then
      echo "$name: an input breaks it, see Corpus/$name" >&2
      exit 1
    fi
  done
done
