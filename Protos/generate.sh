#!/bin/sh
# Makes Sources/Schemas from the messages here, and what the tests need of gRPC's own test service. Run it after a change
# under Protos/ or Tests/Interop/Protos/, and commit what comes out.
#
# Needs protoc (Debian: protobuf-compiler) and, once, `swift package resolve`: the plugin is built from the very checkout
# of swift-protobuf the package depends on, so that generated code and runtime fit each other.
set -eu
cd "$(dirname "$0")/.."

checkout=.build/checkouts/swift-protobuf
swift build --package-path "$checkout" --scratch-path .build/protoc-gen-swift --product protoc-gen-swift
plugin=.build/protoc-gen-swift/debug/protoc-gen-swift

# What the control plane reads as text or JSON. The request path has its own parser, in Messages. A service definition
# makes no Swift code; a proto whose messages nobody reads that way is left out.
roots="
google/rpc/status.proto
grpc/health/v1/health.proto
grpc/reflection/v1/reflection.proto
tensorflow/core/protobuf/saved_model.proto
tensorflow/core/protobuf/config.proto
tensorflow/core/example/example.proto
tensorflow_serving/apis/get_model_metadata.proto
tensorflow_serving/apis/get_model_status.proto
tensorflow_serving/apis/model_management.proto
tensorflow_serving/apis/prediction_log.proto
tensorflow_serving/config/model_server_config.proto
tensorflow_serving/config/monitoring_config.proto
tensorflow_serving/config/platform_config.proto
tensorflow_serving/config/ssl_config.proto
tensorflow_serving/servables/tensorflow/saved_model_bundle_source_adapter.proto
tensorflow_serving/servables/tensorflow/session_bundle_config.proto
tsl/profiler/protobuf/profiler_service.proto
"

# Every service the server answers: what reflection tells clients about.
services="
grpc/health/v1/health.proto
grpc/reflection/v1/reflection.proto
grpc/reflection/v1alpha/reflection.proto
tensorflow_serving/apis/model_service.proto
tensorflow_serving/apis/prediction_service.proto
tensorflow_serving/apis/session_service.proto
tsl/profiler/protobuf/profiler_service.proto
"

# Every file a root imports, each once.
list=$(mktemp)
trap 'rm -f "$list"' EXIT
for root in $roots; do
  protoc --proto_path=Protos --dependency_out="$list.d" --descriptor_set_out=/dev/null "$root"
  tr -s ' \\' '\n\n' < "$list.d" | sed -n 's|^Protos/||p' >> "$list"
  echo >> "$list"
  rm -f "$list.d"
done

rm -rf Sources/Schemas
mkdir -p Sources/Schemas
sort -u "$list" | sed "/^$/d" | xargs protoc --proto_path=Protos --plugin="$plugin" --swift_out=Sources/Schemas \
  --swift_opt=Visibility=Public --swift_opt=FileNaming=PathToUnderscores --swift_opt=UseAccessLevelOnImports=true

# The services' descriptors, with all they import, as text that compiles in no time: base64 in one literal.
set=$(mktemp)
trap 'rm -f "$list" "$set"' EXIT
protoc --proto_path=Protos --include_imports --descriptor_set_out="$set" $services
{
  echo '// Made by Protos/generate.sh.'
  echo
  echo '/// What the services are made of.'
  echo 'public enum ServiceDescriptors {'
  echo '  /// A `google.protobuf.FileDescriptorSet`: every file that defines a service of ours and, before it, those it imports; base64.'
  echo '  public static let base64: StaticString = """'
  base64 --wrap=128 "$set" | sed -e 's/^/    /' -e '$!s/$/\\/'
  echo '    """'
  echo '}'
} > Sources/Schemas/ServiceDescriptors.swift

# gRPC's test service, for the interoperability tests.
rm -rf Tests/Interop/Schemas
mkdir -p Tests/Interop/Schemas
protoc --proto_path=Tests/Interop/Protos --plugin="$plugin" --swift_out=Tests/Interop/Schemas \
  --swift_opt=Visibility=Public --swift_opt=FileNaming=PathToUnderscores --swift_opt=UseAccessLevelOnImports=true \
  grpc/testing/empty.proto grpc/testing/messages.proto
