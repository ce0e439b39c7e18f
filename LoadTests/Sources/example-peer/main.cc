// The yardstick of examples.sh: a ClassificationRequest parsed by protobuf C++, its examples filled into tensors.
//
//   example-peer --write FILE ROWS ORDER   writes the request: examples of 100 features, dense, sparse and ragged; their names
//                                          in order ("sorted"), or in another for each example, as C++ leaves it ("hashed")
//   example-peer FILE                      times it: nanoseconds for an example, parsed into a new message, into a new arena,
//                                          and into an arena that keeps its memory
#include <google/protobuf/arena.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "tensorflow_serving/apis/classification.pb.h"

using tensorflow::Feature;
using tensorflow::serving::ClassificationRequest;

// Feature i: by turns four floats, integers, strings. Of the integers every other is one, the rest zero to five (sparse); of the
// strings every other is one, the rest one to four (ragged).
constexpr int kFeatures = 100;
enum Role { kFloats, kInt, kInts, kString, kStrings };
static Role RoleOf(int i) {
  if (i % 3 == 0) return kFloats;
  if (i % 3 == 1) return i % 2 ? kInt : kInts;
  return i % 2 ? kString : kStrings;
}
static std::string Name(int i) {
  char name[16];
  snprintf(name, sizeof name, "feature_%03d", i);
  return name;
}

static void Write(const char* path, int rows, bool sorted) {
  std::mt19937_64 rng(7);
  ClassificationRequest request;
  request.mutable_model_spec()->set_name("m");
  for (int row = 0; row < rows; row++) {
    auto& features = *request.mutable_input()->mutable_example_list()->add_examples()->mutable_features()->mutable_feature();
    for (int i = 0; i < kFeatures; i++) {
      Feature feature;
      const auto text = [&] { return std::string(4 + rng() % 36, 'a' + char(rng() % 26)); };
      switch (RoleOf(i)) {
        case kFloats:
          for (int k = 0; k < 4; k++) feature.mutable_float_list()->add_value(float(rng() % 1000) / 7);
          break;
        case kInt: feature.mutable_int64_list()->add_value(rng() % (1ull << 40)); break;
        case kInts:
          for (int k = rng() % 6; k > 0; k--) feature.mutable_int64_list()->add_value(rng() % (1ull << 40));
          break;
        case kString: feature.mutable_bytes_list()->add_value(text()); break;
        case kStrings:
          for (int k = 1 + rng() % 4; k > 0; k--) feature.mutable_bytes_list()->add_value(text());
          break;
      }
      features[Name(i)] = feature;
    }
  }
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(sorted);
    request.SerializeToCodedStream(&coded);
  }
  std::ofstream(path, std::ios::binary) << bytes;
}

// A feature's tensors. They keep their memory from one request to the next.
struct Column {
  std::string name;
  Role role;
  std::vector<float> floats;
  std::vector<int64_t> ints, indices, splits;
  std::vector<std::string> strings;
  size_t string_count = 0;

  void AddString(const std::string& value) {
    if (string_count == strings.size()) strings.emplace_back();
    strings[string_count++] = value;
  }
};

static int64_t Fill(const ClassificationRequest& request, std::vector<Column>& columns) {
  const auto& examples = request.input().example_list().examples();
  for (Column& column : columns) {
    column.floats.clear(), column.ints.clear(), column.indices.clear(), column.splits.clear();
    column.string_count = 0;
    if (column.role == kStrings) column.splits.push_back(0);
  }
  int64_t values = 0;
  for (int row = 0; row < examples.size(); row++) {
    const auto& features = examples.Get(row).features().feature();
    for (Column& column : columns) {
      const auto found = features.find(column.name);
      if (found == features.end()) abort();
      const Feature& feature = found->second;
      switch (column.role) {
        case kFloats: {
          const auto& list = feature.float_list().value();
          if (list.size() != 4) abort();
          column.floats.insert(column.floats.end(), list.begin(), list.end());
          values += 4;
          break;
        }
        case kInt: {
          const auto& list = feature.int64_list().value();
          if (list.size() != 1) abort();
          column.ints.push_back(list.Get(0));
          values += 1;
          break;
        }
        case kInts: {
          const auto& list = feature.int64_list().value();
          for (int k = 0; k < list.size(); k++) {
            column.indices.push_back(row), column.indices.push_back(k);
            column.ints.push_back(list.Get(k));
          }
          values += list.size();
          break;
        }
        case kString:
          if (feature.bytes_list().value_size() != 1) abort();
          column.AddString(feature.bytes_list().value(0));
          values += 1;
          break;
        case kStrings:
          for (const std::string& value : feature.bytes_list().value()) column.AddString(value);
          column.splits.push_back(column.string_count);
          values += feature.bytes_list().value_size();
          break;
      }
    }
  }
  return values;
}

static double Now() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

// The median over nine bursts of at least 60 ms of CPU time.
template <class F>
static double Time(F f) {
  for (int i = 0; i < 3; i++) f();
  int rounds = 0;
  const double start = Now();
  do f(), rounds++;
  while (Now() - start < 6e7);
  std::vector<double> times;
  for (int burst = 0; burst < 9; burst++) {
    const double start = Now();
    for (int i = 0; i < rounds; i++) f();
    times.push_back((Now() - start) / rounds);
  }
  std::sort(times.begin(), times.end());
  return times[4];
}

int main(int argc, char** argv) {
  if (argc == 5 && !strcmp(argv[1], "--write")) return Write(argv[2], atoi(argv[3]), !strcmp(argv[4], "sorted")), 0;
  if (argc != 2) return fprintf(stderr, "usage: example-peer FILE | --write FILE ROWS sorted|hashed\n"), 2;
  std::ifstream file(argv[1], std::ios::binary);
  std::stringstream stream;
  stream << file.rdbuf();
  const std::string bytes = stream.str();
  std::vector<Column> columns;
  for (int i = 0; i < kFeatures; i++) columns.push_back({Name(i), RoleOf(i)});
  int64_t values = 0;
  int rows = 0;
  const auto parse = [&](ClassificationRequest& request) {
    if (!request.ParseFromArray(bytes.data(), bytes.size())) abort();
    rows = request.input().example_list().examples_size();
    values = Fill(request, columns);
  };
  const double heap = Time([&] {
    ClassificationRequest request;
    parse(request);
  });
  const double fresh = Time([&] {
    google::protobuf::Arena arena;
    parse(*google::protobuf::Arena::CreateMessage<ClassificationRequest>(&arena));
  });
  std::unique_ptr<char[]> block(new char[64 << 20]);
  google::protobuf::ArenaOptions options;
  options.initial_block = block.get();
  options.initial_block_size = 64 << 20;
  const double arena = Time([&] {
    google::protobuf::Arena arena(options);
    parse(*google::protobuf::Arena::CreateMessage<ClassificationRequest>(&arena));
  });
  printf("values %lld\nmessage %.1f\narena %.1f\nreused %.1f\n", (long long)values, heap / rows, fresh / rows, arena / rows);
}
