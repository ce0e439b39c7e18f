// Writes syntax_cases.jsonl: texts, and what RapidJSON (Debian: rapidjson-dev) says of them, read as TensorFlow Serving does.
//
//     g++ -O1 make_syntax_cases.cc -o make_syntax_cases && ./make_syntax_cases >syntax_cases.jsonl
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "rapidjson/document.h"
#include "rapidjson/encodedstream.h"
#include "rapidjson/error/en.h"
#include "rapidjson/memorystream.h"

// RapidJSON lets a fraction or an exponent follow NaN and its like; we do not.
static bool is_odd(const std::string &text) {
  for (const char *token : {"NaN", "Inf", "Infinity"})
    for (const char *tail : {".", "e", "E"})
      if (text.find(std::string(token) + tail) != std::string::npos) return true;
  return false;
}

static void judge(const std::string &text) {
  if (is_odd(text)) return;
  using namespace rapidjson;
  Document document;
  MemoryStream memory(text.data(), text.size());
  EncodedInputStream<UTF8<>, MemoryStream> stream(memory);
  document.ParseStream<kParseNanAndInfFlag | kParseFullPrecisionFlag | kParseStopWhenDoneFlag>(stream);
  std::string escaped;
  char room[8];
  for (unsigned char c : text) {
    snprintf(room, sizeof room, "%02x", c);
    escaped += room;
  }
  if (document.HasParseError()) {
    std::string message;
    for (const char *p = GetParseError_En(document.GetParseError()); *p; p++) {
      if (*p == '\\' || *p == '"') message += '\\';
      message += *p;
    }
    printf("[\"%s\", \"%s at offset: %zu\"]\n", escaped.c_str(), message.c_str(), document.GetErrorOffset());
  }
  else
    printf("[\"%s\", null]\n", escaped.c_str());
}

int main() {
  std::vector<std::string> seeds = {
      R"({"instances": [[1.0, 2.5, -3e-2], [4, 5.25, 6E+1]], "signature_name": "serving_default"})",
      R"({"a": {"b": [true, false, null, "x\n\"\u00e9\ud83d\ude00"]}, "inputs": {"b64": "aGVsbG8="}})",
      "{\n  \"instances\": [\n    NaN,\n    -Infinity,\n    Inf,\n    0.5\n  ]\n}",
      R"([1, [2, [3, [4, {"k": [] }]]], {}, "", 0, -0, 1e308])",
      R"("text")", "17", "-", "nul", "tru", "Na", "Infinit", "Infinity", "", "   ", "{", "[", "[1,]", "{\"a\" 1}", "{\"a\":}",
      "{a: 1}", "{\"a\": 1,}", "[1 2]", "01", "[01]", "1.", "[1.e5]", "1e", "[1e+]", ".5", "+1", "[1e400]", "[-1e400]", "[1e-400]",
      "\"\\x\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"a\tb\"", "\"open", "{} trailing", "\xef\xbb\xbf{}", "[1]]",
  };
  for (auto &seed : seeds) judge(seed);
  std::mt19937 random(41);
  const std::string alphabet = "{}[]\",:.-+eE0123456789 \\utrfalsenINy/\n";
  for (int i = 0; i < 1200; i++) {
    std::string text = seeds[random() % 4];
    for (unsigned k = random() % 3 + 1; k > 0; k--) {
      size_t at = text.empty() ? 0 : random() % text.size();
      switch (random() % 4) {
        case 0: if (!text.empty()) text.erase(at, random() % 3 + 1); break;
        case 1: text.insert(at, 1, alphabet[random() % alphabet.size()]); break;
        case 2: if (!text.empty()) text[at] = alphabet[random() % alphabet.size()]; break;
        default: text.resize(at); break;
      }
    }
    judge(text);
  }
}
