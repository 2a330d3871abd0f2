// SPDX-License-Identifier: Apache-2.0
// Keys as vLLM 0.33's vllm/benchmarks/serve.py writes them. Its definitions are those of our
// registry: latencies are medians over requests, TPOT leaves the first token out, throughput is
// over the time until the last answer.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "cli/import/import.h"
#include "scenarios/error.h"
#include "scenarios/json_reader.h"

namespace lindos::cli {

namespace {

constexpr double kMostSeconds = 1e7;
constexpr double kMillisecond = 1e-3;

[[noreturn]] void differs(const std::string& where, const std::string& what,
                          const std::string& remedy) {
  throw Error(ErrorKind::kInput, where,
              what + "; a record joins predictions of the very same workload: " + remedy);
}

// Tokenizers make a prompt of a wished length a token longer or shorter.
void require_length(const std::string& where, const char* name, double mean,
                    const LengthRange& range) {
  const double slack = std::max(1.0, 0.01 * static_cast<double>(range.high));
  if (mean >= static_cast<double>(range.low) - slack &&
      mean <= static_cast<double>(range.high) + slack)
    return;
  differs(where,
          fmt::format("its requests have {:.1f} {} tokens on average, the scenario's [{}, {}]",
                      mean, name, range.low, range.high),
          fmt::format("set [workload] {} to the lengths that were run", name));
}

// "inf", Infinity is no JSON: vLLM writes the word.
double request_rate(JsonObject& root, const nlohmann::json& document) {
  if (document.contains("request_rate") && document.at("request_rate").is_string()) {
    if (root.text("request_rate") == "inf") return INFINITY;
    root.fail("request_rate", "expected a number or \"inf\"");
  }
  return root.number("request_rate", 1e-9, 1e9);
}

void require_arrivals(JsonObject& root, const nlohmann::json& document, const std::string& where,
                      const ServingWorkload& serving) {
  const double rate = request_rate(root, document);
  const bool capped =
      document.contains("max_concurrency") && !document.at("max_concurrency").is_null();
  const std::int64_t clients =
      capped ? std::min(root.integer("max_concurrency", 1), serving.requests) : serving.requests;
  if (clients < serving.requests) {
    const bool same = serving.arrival == Arrival::kClosedLoop && serving.concurrency == clients;
    if (!std::isinf(rate)) {
      differs(where,
              fmt::format("its requests arrived at {:g} /s, at most {} at a time", rate, clients),
              "run it with --max-concurrency or with --request-rate, not with both");
    }
    if (!same) {
      differs(
          where,
          fmt::format("{} clients sent its requests, each the next when the last was answered",
                      clients),
          fmt::format("set [workload] arrival = \"closed-loop\" and concurrency = {}", clients));
    }
    return;
  }
  if (std::isinf(rate)) {
    if (serving.arrival != Arrival::kTogether)
      differs(where, "all its requests arrived at once", "set [workload] arrival = \"together\"");
    return;
  }
  const double burstiness =
      document.contains("burstiness") ? root.number("burstiness", 1e-9, 1e9) : 1.0;
  if (burstiness != 1.0) {
    differs(where, fmt::format("its arrivals have burstiness {:g}", burstiness),
            "run it with --burstiness 1, the Poisson process");
  }
  if (serving.arrival != Arrival::kPoisson || std::abs(serving.rate.value() - rate) > 1e-3 * rate) {
    differs(where, fmt::format("its requests arrived as a Poisson process of {:g} /s", rate),
            fmt::format("set [workload] arrival = \"poisson\" and rate = \"{:g} /s\"", rate));
  }
}

void add_medians(JsonObject& root, const nlohmann::json& document,
                 std::map<std::string, double>& metrics) {
  metrics["ttft_s"] =
      root.number("median_ttft_ms", 0.0, kMostSeconds / kMillisecond) * kMillisecond;
  metrics["tpot_s"] =
      root.number("median_tpot_ms", 0.0, kMostSeconds / kMillisecond) * kMillisecond;
  if (document.contains("median_e2el_ms")) {
    metrics["e2e_latency_s"] =
        root.number("median_e2el_ms", 0.0, kMostSeconds / kMillisecond) * kMillisecond;
  }
}

// With --save-detailed: the share of requests that kept both promises.
void add_goodput(const nlohmann::json& document, JsonObject& root, const Slo& slo,
                 std::map<std::string, double>& metrics) {
  if (!document.contains("ttfts") || !document.contains("itls")) return;
  const std::vector<double> ttfts = root.numbers("ttfts", 0.0);
  const nlohmann::json& gaps = document.at("itls");
  if (!gaps.is_array() || gaps.size() != ttfts.size() || ttfts.empty()) {
    root.fail("itls",
              fmt::format("expected a list for each of the {} requests of ttfts", ttfts.size()));
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < ttfts.size(); ++i) {
    double sum = 0.0;
    if (!gaps[i].is_array()) root.fail("itls", fmt::format("entry {} is no list of times", i));
    for (const nlohmann::json& gap : gaps[i]) {
      if (!gap.is_number())
        root.fail("itls", fmt::format("entry {} holds \"{}\", which is no time", i, gap.dump()));
      sum += gap.get<double>();
    }
    const double tpot = gaps[i].empty() ? 0.0 : sum / static_cast<double>(gaps[i].size());
    const bool fast = slo.ttft.count() == 0 || ttfts[i] <= slo.ttft.count();
    const bool smooth = slo.tpot.count() == 0 || tpot <= slo.tpot.count();
    kept += fast && smooth ? 1 : 0;
  }
  metrics["goodput"] = static_cast<double>(kept) / static_cast<double>(ttfts.size());
}

// "20261126-073424", local time of the client; kept as written, since the file does not say the
// zone.
std::string started(JsonObject& root) {
  const std::string date = root.text("date");
  const bool digits =
      date.size() == 15 && date[8] == '-' &&
      std::count_if(date.begin(), date.end(), [](char c) { return c >= '0' && c <= '9'; }) == 14;
  if (!digits) root.fail("date", "expected YYYYMMDD-HHMMSS, saw \"" + date + "\"");
  return fmt::format("{}-{}-{}T{}:{}:{}", date.substr(0, 4), date.substr(4, 2), date.substr(6, 2),
                     date.substr(9, 2), date.substr(11, 2), date.substr(13, 2));
}

}  // namespace

ImportedRun read_vllm_bench(std::string_view text, const std::string& where,
                            const Scenario& scenario) {
  if (scenario.workload.kind != WorkloadKind::kServing) {
    throw Error(ErrorKind::kInput, scenario.name, "trains; vllm bench measures serving");
  }
  const nlohmann::json document = parse_json(text, where);
  JsonObject root(document, "", where);
  const ServingWorkload& serving = scenario.workload.serving;
  if (serving.requests == 0) {
    throw Error(ErrorKind::kInput, scenario.name,
                "a recorded trace or a duration says what arrives, and vllm bench draws requests of its own; "
                "set [workload] requests");
  }
  const std::int64_t completed = root.integer("completed", 1);
  if (root.has("failed") && root.integer("failed", 0) > 0) {
    root.fail("failed", "requests failed: throughput over the others is not that of the workload");
  }
  if (completed != serving.requests) {
    differs(
        where,
        fmt::format("{} requests were answered, the scenario has {}", completed, serving.requests),
        fmt::format("set [workload] requests = {}", completed));
  }
  const auto mean_of = [&](const char* key) {
    return root.number(key, 1.0, 1e15) / static_cast<double>(completed);
  };
  require_length(where, "prompt", mean_of("total_input_tokens"), serving.prompt);
  require_length(where, "output", mean_of("total_output_tokens"), serving.output);
  require_arrivals(root, document, where, serving);
  ImportedRun run;
  run.started_utc = started(root);
  run.metrics["output_tokens_per_s"] = root.number("output_throughput", 0.0, 1e15);
  run.metrics["requests_per_s"] = root.number("request_throughput", 0.0, 1e15);
  add_medians(root, document, run.metrics);
  add_goodput(document, root, scenario.slo, run.metrics);
  return run;
}

}  // namespace lindos::cli
