// RapidJSON's part of LoadTests/json.sh: writes the bodies, parses them into documents as TensorFlow Serving does, and prints
// answers.
//
//     json-peer --write FILE ints|decimals|shortest|digits|pretty|exponents
//     json-peer FILE
#include <time.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "rapidjson/document.h"
#include "rapidjson/encodedstream.h"
#include "rapidjson/memorystream.h"
#include "rapidjson/prettywriter.h"
#include "rapidjson/stringbuffer.h"

using namespace rapidjson;

static const int kHeight = 224, kWidth = 224, kChannels = 3;

static double Now() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static std::string Number(const std::string& kind, std::mt19937& random) {
  char text[64];
  const float value = random() * (1.0f / 4294967296.0f);
  if (kind == "ints") {
    snprintf(text, sizeof text, "%d", static_cast<int>(random() % 256));
  } else if (kind == "decimals") {
    snprintf(text, sizeof text, "%.2f", value * 2 - 1);
  } else if (kind == "digits") {
    snprintf(text, sizeof text, "%.17g", static_cast<double>(random()) / 4294967296.0 + static_cast<double>(random()) / 1.8446744073709552e19);
  } else if (kind == "exponents") {
    snprintf(text, sizeof text, "%.7e", value * 2 - 1);
  } else {
    *std::to_chars(text, text + sizeof text, value).ptr = 0;
  }
  return text;
}

static void Write(const char* path, const std::string& kind) {
  std::mt19937 random(1);
  std::string text;
  // Python's json.dumps: a comma and a blank, or with indent=4 a line for each number.
  const bool pretty = kind == "pretty";
  auto line = [&](int depth) {
    if (pretty) text += "\n" + std::string(4 * depth, ' ');
  };
  auto list = [&](int depth, int count, auto each) {
    text += "[";
    for (int i = 0; i < count; i++) {
      if (i) text += pretty ? "," : ", ";
      line(depth + 1);
      each();
    }
    line(depth);
    text += "]";
  };
  text += "{";
  line(1);
  text += "\"instances\": ";
  list(1, 1, [&] {
    list(2, kHeight, [&] { list(3, kWidth, [&] { list(4, kChannels, [&] { text += Number(kind, random); }); }); });
  });
  line(0);
  text += "}";
  std::ofstream(path, std::ios::binary) << text;
}

// A document each time, and its memory given back: a request's life.
static double Parse(const std::string& body) {
  Document document;
  document.Parse(body.data(), body.size());
  if (document.HasParseError()) abort();
  return document.MemberCount();
}

// With TensorFlow Serving's stream and flags.
static double ParseLikeServing(const std::string& body) {
  Document document;
  MemoryStream memory(body.data(), body.size());
  EncodedInputStream<UTF8<>, MemoryStream> stream(memory);
  document.ParseStream<kParseNanAndInfFlag | kParseFullPrecisionFlag>(stream);
  if (document.HasParseError()) abort();
  return document.MemberCount();
}

static double Sum(const Value& value) {
  if (!value.IsArray()) return static_cast<float>(value.GetDouble());
  double sum = 0;
  for (const auto& element : value.GetArray()) sum += Sum(element);
  return sum;
}

static void Collect(const Value& value, std::vector<float>* out) {
  if (!value.IsArray()) return out->push_back(static_cast<float>(value.GetDouble()));
  for (const auto& element : value.GetArray()) Collect(element, out);
}

// The answer with the same numbers, by RapidJSON's own printer of doubles.
static double Print(const std::vector<float>& values) {
  StringBuffer buffer;
  PrettyWriter<StringBuffer> writer(buffer);
  writer.StartObject();
  writer.Key("predictions");
  writer.StartArray();
  writer.SetFormatOptions(kFormatSingleLineArray);
  size_t i = 0;
  writer.StartArray();
  for (int y = 0; y < kHeight; y++) {
    writer.StartArray();
    for (int x = 0; x < kWidth; x++) {
      writer.StartArray();
      for (int c = 0; c < kChannels; c++) writer.Double(values[i++]);
      writer.EndArray();
    }
    writer.EndArray();
  }
  writer.EndArray();
  writer.SetFormatOptions(kFormatDefault);
  writer.EndArray();
  writer.EndObject();
  return buffer.GetSize();
}

template <class Work>
static void Time(const char* name, Work work) {
  volatile double sink = 0;
  for (int i = 0; i < 2; i++) sink = sink + work();
  std::vector<double> times;
  for (int i = 0; i < 7; i++) {
    const double start = Now();
    sink = sink + work();
    times.push_back(Now() - start);
  }
  std::sort(times.begin(), times.end());
  printf("%s %.0f\n", name, times[3]);
}

int main(int argc, char** argv) {
  if (argc == 4 && !strcmp(argv[1], "--write")) return Write(argv[2], argv[3]), 0;
  std::ifstream file(argv[1], std::ios::binary);
  const std::string body((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  Document document;
  document.Parse(body.data(), body.size());
  printf("sum %.3f\n", Sum(document["instances"]));
  std::vector<float> values;
  Collect(document["instances"], &values);
  Time("document", [&] { return Parse(body); });
  Time("serving", [&] { return ParseLikeServing(body); });
  Time("print", [&] { return Print(values); });
}
