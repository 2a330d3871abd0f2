// SPDX-License-Identifier: Apache-2.0
#include "scenarios/servegen.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/arrival_process.h"
#include "scenarios/error.h"
#include "scenarios/portable_math.h"
#include "scenarios/request_stream.h"
#include "scenarios/workload.h"

namespace lindos {
namespace {

using ::testing::HasSubstr;

// A folder that is gone after the test.
class Servegen : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) /
              (std::string("servegen-") + ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const { std::ofstream(folder_ / name) << text; }
  // A client that asks 2/s for 600 s, then nothing, then 1/s.
  void write_client(const std::string& name) const {
    write(name + "-trace.csv", "0,2,1.5,Gamma,0.444,1.1\n600,0,0,,0,0\n1200,1,2,Weibull,0.6,0.7\n");
    write(name + "-dataset.json",
          R"({"0": {"input_tokens": "{10: 0.25, 20: 0.75}", "output_tokens": "{5: 1.0}", "reason_ratio": "{0.0: 1.0}"},
              "1200": {"input_tokens": "{100: 1.0}", "output_tokens": "{1: 0.5, 7: 0.5}"}})");
  }
  [[nodiscard]] ServingWorkload workload() const {
    ServingWorkload w;
    w.arrival = Arrival::kRecorded;
    w.trace.path = folder_.string();
    w.trace.format = TraceFormat::kServegen;
    const TraceSummary summary = scan_clients(folder_, 0, {});
    w.trace.rows = summary.rows;
    w.trace.digest = summary.digest;
    return w;
  }
  [[nodiscard]] std::string complaint(const std::vector<std::string>& tenants = {}, std::int64_t max_tokens = 0) const {
    try {
      static_cast<void>(scan_clients(folder_, max_tokens, tenants));
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kInput);
      std::string text = e.what();
      for (std::size_t at = text.find(folder_.string()); at != std::string::npos; at = text.find(folder_.string()))
        text.replace(at, folder_.string().size(), "DIR");
      return text;
    }
    return "";
  }
  std::filesystem::path folder_;
};

TEST_F(Servegen, ScansWhatIsToBeExpected) {
  write_client("chunk-0");
  write_client("chunk-1");
  const TraceSummary summary = scan_clients(folder_, 0, {});
  // Each 2 × 600 + 1 × 600 requests; the last window is as long as the one before it.
  EXPECT_EQ(summary.rows, 3600);
  EXPECT_EQ(summary.span_ns, 1'800'000'000'000);
  EXPECT_EQ(summary.shortest_prompt, 10);
  EXPECT_EQ(summary.longest_prompt, 100);
  EXPECT_EQ(summary.shortest_output, 1);
  EXPECT_EQ(summary.longest_output, 7);
  EXPECT_EQ(summary.longest, 107);
}

// Clients of rates 2 and 1: per window the count is within 5 sigma of a renewal process, sigma² = cv² × mean, with
// cv² = 1/shape of the gamma and the Weibull's own; nobody asks while the rate is 0.
TEST_F(Servegen, KeepsTheRatesAndLengthsOfEachWindow) {
  for (const char* name : {"chunk-0", "chunk-1", "chunk-2", "chunk-3"}) write_client(name);
  const auto requests = generate_requests(workload(), 11);
  double first = 0.0;
  double last = 0.0;
  double twenty = 0.0;
  double seven = 0.0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const RequestSpec& r = requests[i];
    EXPECT_EQ(r.id, i);
    if (i > 0) {
      EXPECT_GE(r.arrival, requests[i - 1].arrival);
    }
    if (r.arrival < Seconds(600)) {
      first += 1.0;
      twenty += r.prompt_tokens == 20 ? 1.0 : 0.0;
      EXPECT_EQ(r.output_tokens, 5);
    } else {
      EXPECT_GE(r.arrival, Seconds(1200));
      last += 1.0;
      seven += r.output_tokens == 7 ? 1.0 : 0.0;
      EXPECT_EQ(r.prompt_tokens, 100);
    }
  }
  EXPECT_NEAR(first, 4800.0, 5.0 * std::sqrt(4800.0 / 0.444));
  EXPECT_NEAR(last, 2400.0, 5.0 * std::sqrt(2400.0 * 3.1));
  EXPECT_NEAR(twenty / first, 0.75, 5.0 * std::sqrt(0.75 * 0.25 / first));
  EXPECT_NEAR(seven / last, 0.5, 5.0 * std::sqrt(0.25 / last));
}

TEST_F(Servegen, IsAFunctionOfTheSeedThatSpeedAndEndOnlyCut) {
  write_client("chunk-0");
  write_client("chunk-10");
  ServingWorkload w = workload();
  const auto all = generate_requests(w, 5);
  EXPECT_EQ(generate_requests(w, 5), all);
  EXPECT_NE(generate_requests(w, 6), all);
  w.requests = 100;
  const auto few = generate_requests(w, 5);
  EXPECT_EQ(few, std::vector<RequestSpec>(all.begin(), all.begin() + 100));
  w.requests = 0;
  w.trace.speed = 4.0;
  w.duration = Seconds(100);
  const auto fast = generate_requests(w, 5);
  ASSERT_GT(fast.size(), 300U);
  for (std::size_t i = 0; i < fast.size(); ++i) EXPECT_EQ(fast[i].arrival, all[i].arrival / 4.0);
  EXPECT_LT(fast.back().arrival, Seconds(100));
  EXPECT_GE(all[fast.size()].arrival / 4.0, Seconds(100));
}

TEST_F(Servegen, ClientsAreTenantsByName) {
  write_client("chunk-0");
  write("slow-trace.csv", "0,0.1,1,Gamma,1,10\n");
  write("slow-dataset.json", R"({"0": {"input_tokens": "{333: 1.0}", "output_tokens": "{2: 1.0}"}})");
  ServingWorkload w = workload();
  const auto nobody = generate_requests(w, 5);
  w.tenants = {{"slow", 0.0, 2}, {"chunk-0", 0.0}};
  const auto requests = generate_requests(w, 5);
  ASSERT_EQ(requests.size(), nobody.size());
  int slow = 0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const bool own = requests[i].prompt_tokens == 333;
    EXPECT_EQ(requests[i].tenant, own ? 0U : 1U);
    EXPECT_EQ(requests[i].priority, own ? 2 : 0);
    EXPECT_EQ(requests[i].arrival, nobody[i].arrival);
    slow += own ? 1 : 0;
  }
  EXPECT_GT(slow, 30);
  EXPECT_EQ(complaint({"slow", "chunk-1"}), "DIR: no client is named \"chunk-1\" (did you mean \"chunk-0\"?)");
  EXPECT_EQ(complaint({"slow"}),
            "DIR: client \"chunk-0\" is no tenant of the workload; name it too, or give each tenant its share");
}

TEST_F(Servegen, ATraceThatHasChangedIsNotServed) {
  write_client("chunk-0");
  const ServingWorkload w = workload();
  write("chunk-0-trace.csv", "0,3,1,Gamma,1,1\n");
  try {
    static_cast<void>(generate_requests(w, 1));
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("the trace has changed since the scenario was loaded"));
  }
}

TEST_F(Servegen, NamesWhatIsWrong) {
  EXPECT_EQ(complaint(), "DIR: no client in it: expected files such as chunk-0-trace.csv");
  write_client("chunk-0");
  EXPECT_EQ(complaint(), "");
  EXPECT_EQ(complaint({}, 106),
            "DIR/chunk-0-dataset.json: /1200.0: prompt and output of up to 107 tokens exceed the model's context of 106");
  std::filesystem::remove(folder_ / "chunk-0-dataset.json");
  EXPECT_EQ(complaint(),
            "DIR/chunk-0-dataset.json: missing: it has the lengths of the requests of DIR/chunk-0-trace.csv");

  const auto rows = [&](const std::string& text) {
    write_client("chunk-0");
    write("chunk-0-trace.csv", text);
    return complaint();
  };
  EXPECT_EQ(rows("0,1,1,Gamma,1,1\n600,-1,1,Gamma,1,1\n"),
            "DIR/chunk-0-trace.csv:2:5: expected requests per second from 0.0 to 1000000000.0, saw \"-1\"");
  EXPECT_EQ(rows("0,1,1,Gamma,1\n"), "DIR/chunk-0-trace.csv:1:1: expected 6 columns (begin, rate, variation, distribution, "
                                     "shape, scale), saw 5");
  EXPECT_EQ(rows("0,1,1,Gama,1,1\n"), "DIR/chunk-0-trace.csv:1:7: unknown distribution \"Gama\"; known: Gamma, Weibull (did "
                                      "you mean \"Gamma\"?)");
  EXPECT_EQ(rows("0,1,1,,1,1\n"),
            "DIR/chunk-0-trace.csv:1:7: requests arrive, but no distribution of their gaps is given");
  EXPECT_EQ(rows("600,1,1,Gamma,1,1\n600,1,1,Gamma,1,1\n"),
            "DIR/chunk-0-trace.csv:2:1: begins no later than the row before it");
  EXPECT_EQ(rows("0,1,1,Gamma,0,1\n"),
            "DIR/chunk-0-trace.csv:1:13: expected the shape of the gaps from 0.01 to 10000.0, saw \"0\"");
  EXPECT_EQ(rows("0,0,0,,0,0\n"), "DIR: no client asks anything");
  EXPECT_EQ(rows(""), "DIR/chunk-0-trace.csv: the file has no rows");

  const auto lengths = [&](const std::string& text) {
    write_client("chunk-0");
    write("chunk-0-dataset.json", text);
    return complaint();
  };
  EXPECT_EQ(lengths(R"({"0": {"input_tokens": "{10: 0.25, 20: 0.5}", "output_tokens": "{5: 1.0}"}})"),
            "DIR/chunk-0-dataset.json: /0/input_tokens: character 20: the probabilities sum to 0.75, not to 1");
  EXPECT_EQ(lengths(R"({"0": {"input_tokens": "{10: 1.5}", "output_tokens": "{5: 1.0}"}})"),
            "DIR/chunk-0-dataset.json: /0/input_tokens: character 9: expected a probability from 0 to 1");
  EXPECT_EQ(lengths(R"({"0": {"input_tokens": "{10: 0.5, 10: 0.5}", "output_tokens": "{5: 1.0}"}})"),
            "DIR/chunk-0-dataset.json: /0/input_tokens: character 13: lengths ascend, each stands once");
  EXPECT_EQ(lengths(R"({"0": {"input_tokens": "{10 0.5}", "output_tokens": "{5: 1.0}"}})"),
            "DIR/chunk-0-dataset.json: /0/input_tokens: character 5: expected ':' of {length: probability, …}");
  EXPECT_EQ(lengths(R"({"0": {"input_tokens": "{10: 1.0}"}})"), "DIR/chunk-0-dataset.json: /0: missing key \"output_tokens\"");
  EXPECT_EQ(lengths(R"({"0": {"input_tokens": "{}", "output_tokens": "{5: 1.0}"}})"),
            "DIR/chunk-0-trace.csv:1: requests arrive, but there are no lengths for them at DIR/chunk-0-dataset.json: /0.0");
  EXPECT_EQ(lengths(R"({"7": {"input_tokens": "{1: 1.0}", "output_tokens": "{5: 1.0}"}})"),
            "DIR/chunk-0-trace.csv:1: requests arrive before the first lengths of DIR/chunk-0-dataset.json");
  EXPECT_THAT(lengths("{"), HasSubstr("DIR/chunk-0-dataset.json:1:"));
}

// Moments of the gaps: mean 1; the variance of the gamma is 1/shape, of the Weibull Γ(1 + 2/k)/Γ(1 + 1/k)² − 1.
TEST(Gaps, HaveMeanOneAndTheirVariance) {
  constexpr std::uint64_t kDraws = 200'000;
  for (const bool weibull : {false, true}) {
    for (const double shape : {0.4, 1.0, 3.0}) {
      double sum = 0.0;
      double squares = 0.0;
      for (std::uint64_t i = 0; i < kDraws; ++i) {
        const double gap =
            weibull ? weibull_gap(shape, 9, i, Draw::kClientGap) : gamma_gap(shape, 9, i, Draw::kClientGap);
        ASSERT_GE(gap, 0.0);
        sum += gap;
        squares += gap * gap;
      }
      const double mean = sum / kDraws;
      const double variance = squares / kDraws - mean * mean;
      const double expected =
          weibull ? std::tgamma(1.0 + 2.0 / shape) / std::pow(std::tgamma(1.0 + 1.0 / shape), 2.0) - 1.0 : 1.0 / shape;
      EXPECT_NEAR(mean, 1.0, 5.0 * std::sqrt(expected / kDraws)) << shape;
      EXPECT_NEAR(variance / expected, 1.0, weibull && shape < 1.0 ? 0.15 : 0.05) << shape;
    }
  }
}

TEST(PortableMath, LogGammaIsTheLibrarys) {
  for (double x = 0.05; x < 200.0; x *= 1.07)
    EXPECT_NEAR(portable::log_gamma(x), std::lgamma(x), 1e-12 * std::max(1.0, std::abs(std::lgamma(x)))) << x;
}

// The published clients, where they are at hand: what is generated against what the files say.
TEST(ServegenReference, AgreesWithTheFilesOfDeepseekR1) {
  const std::filesystem::path folder = "/work/shared/reference/traces/servegen/deepseek-r1";
  if (!std::filesystem::is_directory(folder)) GTEST_SKIP() << folder << " is not here";
  const ServegenFolder files = read_servegen(folder, 0);
  ASSERT_EQ(files.clients.size(), 8U);
  EXPECT_NEAR(files.expected_requests(), 126'757.0, 1.0);  // Σ rate × 600 s, summed in Python
  ServingWorkload w;
  w.arrival = Arrival::kRecorded;
  w.trace.path = folder.string();
  w.trace.format = TraceFormat::kServegen;
  w.trace.digest = files.digest;
  for (const ServegenClient& client : files.clients) w.tenants.push_back({client.name, 0.0});
  std::vector<double> count(8, 0.0);
  std::map<std::pair<std::uint32_t, double>, std::pair<double, double>> prompts;  // (client, window) → sum, count
  const auto stream = open_requests(w, 1);
  while (const auto r = stream->next()) {
    count[r->tenant] += 1.0;
    auto& [sum, n] = prompts[{r->tenant, files.clients[r->tenant].lengths_at(r->arrival.count()).begin_s}];
    sum += static_cast<double>(r->prompt_tokens);
    n += 1.0;
  }
  for (std::size_t c = 0; c < 8; ++c) {
    double expected = 0.0;
    double variance = 0.0;
    for (const ClientWindow& window : files.clients[c].windows) {
      const double mean = window.rate * (window.end_s - window.begin_s);
      const double k = window.shape;
      const double cv2 = window.kind == GapKind::kGamma
                             ? 1.0 / k
                             : std::tgamma(1.0 + 2.0 / k) / std::pow(std::tgamma(1.0 + 1.0 / k), 2.0) - 1.0;
      expected += mean;
      variance += mean > 0.0 ? mean * cv2 : 0.0;
    }
    EXPECT_NEAR(count[c], expected, 5.0 * std::sqrt(variance)) << files.clients[c].name;
  }
  for (const auto& [key, observed] : prompts) {
    const auto& [sum, n] = observed;
    const LengthHistogram& histogram = files.clients[key.first].lengths_at(key.second).prompt;
    double mean = 0.0;
    double square = 0.0;
    double before = 0.0;
    for (std::size_t i = 0; i < histogram.tokens.size(); ++i) {
      const double p = histogram.until[i] - std::exchange(before, histogram.until[i]);
      mean += p * static_cast<double>(histogram.tokens[i]);
      square += p * std::pow(static_cast<double>(histogram.tokens[i]), 2.0);
    }
    EXPECT_NEAR(sum / n, mean, 5.0 * std::sqrt((square - mean * mean) / n) + 1e-9)
        << files.clients[key.first].name << " from " << key.second << " s";
  }
}

}  // namespace
}  // namespace lindos
