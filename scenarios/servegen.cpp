// SPDX-License-Identifier: Apache-2.0
#include "scenarios/servegen.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

#include "scenarios/arrival_process.h"
#include "scenarios/error.h"
#include "scenarios/json_reader.h"
#include "scenarios/scenario.h"
#include "scenarios/text_file.h"

namespace lindos {

namespace {

constexpr double kLoneWindow = 600.0;
constexpr double kLongest = 1e9;          // seconds; 32 years
constexpr double kHighestRate = 1e9;      // of one client
constexpr std::int64_t kMostTokens = 1'000'000'000;
constexpr std::string_view kTraceEnd = "-trace.csv";
constexpr std::string_view kDatasetEnd = "-dataset.json";

std::optional<double> number_in(std::string_view text) {
  double value = 0.0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

// One row of NAME-trace.csv.
class WindowRow {
 public:
  WindowRow(std::string_view line, const std::string& where, std::int64_t number) : where_(where), number_(number) {
    for (std::size_t begin = 0;;) {
      const std::size_t end = std::min(line.find(',', begin), line.size());
      fields_.push_back({line.substr(begin, end - begin), begin + 1});
      if (end == line.size()) break;
      begin = end + 1;
    }
    if (fields_.size() != kFields) {
      fail(1, "expected " + std::to_string(kFields) +
                  " columns (begin, rate, variation, distribution, shape, scale), saw " + std::to_string(fields_.size()));
    }
  }

  [[nodiscard]] ClientWindow window() const {
    ClientWindow window;
    window.line = number_;
    window.begin_s = number(0, "a begin in seconds", 0.0, kLongest);
    window.rate = number(1, "requests per second", 0.0, kHighestRate);
    static_cast<void>(number(2, "a coefficient of variation", 0.0, 1e9));
    const std::string_view kind = fields_[3].first;
    if (kind == "Weibull") {
      window.kind = GapKind::kWeibull;
    } else if (kind != "Gamma" && !(kind.empty() && window.rate == 0.0)) {
      fail(fields_[3].second, kind.empty() ? "requests arrive, but no distribution of their gaps is given"
                                           : "unknown distribution \"" + std::string(kind.substr(0, 40)) +
                                                 "\"; known: Gamma, Weibull" + did_you_mean(kind, {"Gamma", "Weibull"}));
    }
    if (window.rate == 0.0) return window;
    window.shape = number(4, "the shape of the gaps", kLeastShape, kMostShape);
    static_cast<void>(number(5, "the scale of the gaps in seconds", 0.0, 1e12));
    return window;
  }

  [[noreturn]] void fail(std::size_t column, const std::string& message) const {
    throw Error(ErrorKind::kInput, where_ + ':' + std::to_string(number_) + ':' + std::to_string(column), message);
  }

 private:
  static constexpr std::size_t kFields = 6;

  [[nodiscard]] double number(std::size_t field, const char* what, double low, double high) const {
    const auto& [text, column] = fields_[field];
    const std::optional<double> value = number_in(text);
    if (value && *value >= low && *value <= high) return *value;
    const nlohmann::json bounds = {low, high};
    fail(column, std::string("expected ") + what + " from " + bounds[0].dump() + " to " + bounds[1].dump() + ", saw \"" +
                     std::string(text.substr(0, 40)) + '"');
  }

  const std::string& where_;
  std::int64_t number_;
  std::vector<std::pair<std::string_view, std::size_t>> fields_;  // and their columns, from 1
};

// "{45: 0.0096, 46: 0.0117}", as Python prints a dict.
class HistogramText {
 public:
  HistogramText(std::string_view text, std::string where) : text_(text), where_(std::move(where)) {}

  [[nodiscard]] LengthHistogram parse() {
    LengthHistogram histogram;
    expect('{');
    double sum = 0.0;
    while (!take('}')) {
      if (!histogram.empty()) expect(',');
      const double tokens = number("a length in tokens");
      if (!(tokens >= 1.0 && tokens <= static_cast<double>(kMostTokens)) || tokens != std::floor(tokens))
        fail("expected a length from 1 to " + std::to_string(kMostTokens) + " tokens");
      const auto length = static_cast<std::int64_t>(tokens);
      if (!histogram.empty() && length <= histogram.tokens.back()) fail("lengths ascend, each stands once");
      expect(':');
      const double probability = number("a probability");
      if (!(probability >= 0.0 && probability <= 1.0)) fail("expected a probability from 0 to 1");
      sum += probability;
      histogram.tokens.push_back(length);
      histogram.until.push_back(sum);
    }
    skip_blanks();
    if (at_ != text_.size()) fail("expected the end of the text");
    if (histogram.empty()) return histogram;
    constexpr double kTolerance = 1e-6;
    if (std::abs(sum - 1.0) > kTolerance) fail("the probabilities sum to " + nlohmann::json(sum).dump() + ", not to 1");
    histogram.until.back() = 1.0;
    return histogram;
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw Error(ErrorKind::kInput, where_ + ": character " + std::to_string(at_ + 1), message);
  }
  void skip_blanks() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  [[nodiscard]] bool take(char c) {
    skip_blanks();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail(std::string("expected '") + c + "' of {length: probability, …}");
  }
  [[nodiscard]] double number(const char* what) {
    skip_blanks();
    const std::size_t end = std::min(text_.find_first_of(",:} ", at_), text_.size());
    const std::optional<double> value = number_in(text_.substr(at_, end - at_));
    if (!value) fail(std::string("expected ") + what);
    at_ = end;
    return *value;
  }

  std::string_view text_;
  std::string where_;
  std::size_t at_ = 0;
};

// "chunk-10" after "chunk-9".
bool numbered_before(const std::string& a, const std::string& b) {
  const auto split = [](const std::string& name) {
    const std::size_t digits = name.find_last_not_of("0123456789") + 1;
    const std::string tail = name.substr(digits);
    return std::tuple(name.substr(0, digits), tail.size(), tail);
  };
  return split(a) < split(b);
}

// Lengths wherever requests arrive, none too long for the model.
void check_lengths(const ServegenClient& client, std::int64_t max_tokens, const std::string& trace,
                   const std::string& dataset) {
  for (const ClientWindow& window : client.windows) {
    if (window.rate == 0.0) continue;
    const std::string where = trace + ':' + std::to_string(window.line);
    const auto after = std::upper_bound(client.lengths.begin(), client.lengths.end(), window.begin_s,
                                        [](double t, const ClientLengths& l) { return t < l.begin_s; });
    if (after == client.lengths.begin()) {
      throw Error(ErrorKind::kInput, where, "requests arrive before the first lengths of " + dataset);
    }
    const ClientLengths& lengths = *std::prev(after);
    const std::string pointer = dataset + ": /" + nlohmann::json(lengths.begin_s).dump();
    if (lengths.prompt.empty() || lengths.output.empty())
      throw Error(ErrorKind::kInput, where, "requests arrive, but there are no lengths for them at " + pointer);
    const std::int64_t longest = lengths.prompt.tokens.back() + lengths.output.tokens.back();
    if (max_tokens > 0 && longest > max_tokens) {
      throw Error(ErrorKind::kInput, pointer,
                  "prompt and output of up to " + std::to_string(longest) + " tokens exceed the model's context of " +
                      std::to_string(max_tokens));
    }
  }
}

}  // namespace

const ClientLengths& ServegenClient::lengths_at(double seconds) const {
  const auto after = std::upper_bound(lengths.begin(), lengths.end(), seconds,
                                      [](double t, const ClientLengths& l) { return t < l.begin_s; });
  LINDOS_ASSERT(after != lengths.begin(), "there are lengths wherever requests arrive");
  return *std::prev(after);
}

double ServegenFolder::expected_requests() const {
  double sum = 0.0;
  for (const ServegenClient& client : clients) {
    for (const ClientWindow& window : client.windows) sum += window.rate * (window.end_s - window.begin_s);
  }
  return sum;
}

double ServegenFolder::span_s() const {
  double end = 0.0;
  for (const ServegenClient& client : clients) end = std::max(end, client.windows.back().end_s);
  return end;
}

std::vector<ClientWindow> parse_client_windows(std::string_view text, const std::string& where) {
  std::vector<ClientWindow> windows;
  std::int64_t number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    const WindowRow row(line, where, ++number);
    const ClientWindow window = row.window();
    if (!windows.empty()) {
      if (window.begin_s <= windows.back().begin_s) row.fail(1, "begins no later than the row before it");
      windows.back().end_s = window.begin_s;
    }
    windows.push_back(window);
  }
  if (windows.empty()) throw Error(ErrorKind::kInput, where, "the file has no rows");
  const std::size_t count = windows.size();
  windows.back().end_s =
      windows.back().begin_s + (count > 1 ? windows[count - 2].end_s - windows[count - 2].begin_s : kLoneWindow);
  return windows;
}

std::vector<ClientLengths> parse_client_lengths(std::string_view text, const std::string& where) {
  const nlohmann::json document = parse_json(text, where);
  JsonObject root(document, "", where);
  std::vector<ClientLengths> lengths;
  for (const std::string& key : root.keys()) {
    const std::optional<double> begin = number_in(key);
    if (!begin || *begin < 0.0 || *begin > kLongest)
      root.fail(key, "expected the begin of a window in seconds, saw \"" + key.substr(0, 40) + '"');
    JsonObject window = root.object(key);
    const auto histogram = [&](const char* name) {
      const std::string dict = window.text(name);
      return HistogramText(dict, where + ": /" + key + '/' + name).parse();
    };
    lengths.push_back({*begin, histogram("input_tokens"), histogram("output_tokens")});
  }
  // JSON has its keys in the order of their letters.
  std::sort(lengths.begin(), lengths.end(),
            [](const ClientLengths& a, const ClientLengths& b) { return a.begin_s < b.begin_s; });
  const auto twice = std::adjacent_find(lengths.begin(), lengths.end(), [](const auto& a, const auto& b) {
    return a.begin_s == b.begin_s;
  });
  if (twice != lengths.end())
    throw Error(ErrorKind::kInput, where, "two windows begin at " + nlohmann::json(twice->begin_s).dump() + " s");
  return lengths;
}

ServegenFolder read_servegen(const std::filesystem::path& folder, std::int64_t max_tokens) {
  std::error_code none;
  if (!std::filesystem::is_directory(folder, none)) {
    throw Error(ErrorKind::kInput, folder.string(),
                "expected a folder with NAME-trace.csv and NAME-dataset.json of each client");
  }
  ServegenFolder read;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string file = entry.path().filename().string();
    if (file.size() > kTraceEnd.size() && file.ends_with(kTraceEnd))
      read.clients.push_back({file.substr(0, file.size() - kTraceEnd.size()), {}, {}});
  }
  if (read.clients.empty()) {
    throw Error(ErrorKind::kInput, folder.string(), "no client in it: expected files such as chunk-0-trace.csv");
  }
  std::sort(read.clients.begin(), read.clients.end(),
            [](const ServegenClient& a, const ServegenClient& b) { return numbered_before(a.name, b.name); });
  std::string texts;
  for (ServegenClient& client : read.clients) {
    const std::filesystem::path trace = folder / (client.name + std::string(kTraceEnd));
    const std::filesystem::path dataset = folder / (client.name + std::string(kDatasetEnd));
    if (!std::filesystem::is_regular_file(dataset, none))
      throw Error(ErrorKind::kInput, dataset.string(), "missing: it has the lengths of the requests of " + trace.string());
    const std::string rows = read_text_file(trace, "");
    const std::string histograms = read_text_file(dataset, "");
    client.windows = parse_client_windows(rows, trace.string());
    client.lengths = parse_client_lengths(histograms, dataset.string());
    check_lengths(client, max_tokens, trace.string(), dataset.string());
    texts += client.name + ' ' + digest_of_text(rows) + ' ' + digest_of_text(histograms) + '\n';
  }
  if (read.expected_requests() == 0.0) throw Error(ErrorKind::kInput, folder.string(), "no client asks anything");
  read.digest = digest_of_text(texts);
  return read;
}

TraceSummary scan_clients(const std::filesystem::path& folder, std::int64_t max_tokens,
                          const std::vector<std::string>& tenants) {
  const ServegenFolder read = read_servegen(folder, max_tokens);
  std::vector<std::string> names;
  for (const ServegenClient& client : read.clients) names.push_back(client.name);
  for (const std::string& tenant : tenants) {
    if (std::find(names.begin(), names.end(), tenant) == names.end())
      throw Error(ErrorKind::kInput, folder.string(), "no client is named \"" + tenant + '"' + did_you_mean(tenant, names));
  }
  for (const std::string& name : names) {
    if (!tenants.empty() && std::find(tenants.begin(), tenants.end(), name) == tenants.end()) {
      throw Error(ErrorKind::kInput, folder.string(),
                  "client \"" + name + "\" is no tenant of the workload; name it too, or give each tenant its share");
    }
  }
  TraceSummary summary;
  summary.rows = std::max<std::int64_t>(1, std::llround(read.expected_requests()));
  summary.shortest_prompt = summary.shortest_output = kMostTokens;
  for (const ServegenClient& client : read.clients) {
    for (const ClientLengths& lengths : client.lengths) {
      if (lengths.prompt.empty() || lengths.output.empty()) continue;
      const auto [shortest_in, longest_in] = std::pair(lengths.prompt.tokens.front(), lengths.prompt.tokens.back());
      const auto [shortest_out, longest_out] = std::pair(lengths.output.tokens.front(), lengths.output.tokens.back());
      summary.shortest_prompt = std::min(summary.shortest_prompt, shortest_in);
      summary.longest_prompt = std::max(summary.longest_prompt, longest_in);
      summary.shortest_output = std::min(summary.shortest_output, shortest_out);
      summary.longest_output = std::max(summary.longest_output, longest_out);
      summary.longest = std::max(summary.longest, longest_in + longest_out);
    }
  }
  summary.span_ns = std::llround(read.span_s() * 1e9);
  summary.digest = read.digest;
  return summary;
}

}  // namespace lindos
