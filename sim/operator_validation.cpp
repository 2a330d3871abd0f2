// SPDX-License-Identifier: Apache-2.0
#include "sim/operator_validation.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <variant>

#include "scenarios/error.h"
#include "sim/operator_cost.h"

namespace lindos::sim {

namespace {

constexpr double kNinetiethPercentile = 1.2816;  // of a normal: an 80 % interval ends there

Op op_of(const GemmSample& s) {
  Op op;
  op.kind = OpKind::kGemm;
  op.m = op.tokens = s.m;
  op.n = s.n;
  op.k = s.k;
  const auto m = static_cast<double>(s.m);
  const auto n = static_cast<double>(s.n);
  const auto k = static_cast<double>(s.k);
  op.flop = Flop(2.0 * m * n * k);
  op.weight_bytes = Bytes(n * k * bytes_of(s.dtype));
  op.activation_bytes = Bytes(m * (n + k) * bytes_of(s.dtype));
  return op;
}

Op op_of(const AttentionSample& s) {
  Op op;
  op.kind = s.tokens == 1 && s.context > 0 ? OpKind::kAttentionDecode : OpKind::kAttentionPrefill;
  op.q_heads = s.q_heads;
  op.kv_heads = s.kv_heads;
  op.head_dim = s.head_dim;
  op.tokens = s.sequences * s.tokens;
  op.kv_tokens = s.sequences * (s.context + s.tokens);
  const auto tokens = static_cast<double>(s.tokens);
  const double pairs = static_cast<double>(s.sequences) *
                       (tokens * static_cast<double>(s.context) + tokens * (tokens + 1.0) / 2.0);
  op.flop = Flop(4.0 * pairs * static_cast<double>(s.q_heads * s.head_dim));
  op.kv_bytes = Bytes(2.0 * static_cast<double>(op.kv_tokens * s.kv_heads * s.head_dim) * bytes_of(s.dtype));
  op.activation_bytes =
      Bytes(2.0 * static_cast<double>(op.tokens * s.q_heads * s.head_dim) * bytes_of(s.dtype));
  return op;
}

// One of the two products, in expectation over a uniform routing.
Op op_of(const ExpertSample& s, GemmSite site) {
  Op op;
  op.kind = OpKind::kMoeGemm;
  op.site = site;
  const bool up = site == GemmSite::kGateUp;
  const double share = static_cast<double>(s.top_k) / static_cast<double>(s.experts);
  const auto held = static_cast<double>(s.held);
  op.tokens = s.tokens;
  op.m = std::max<std::int64_t>(1, std::llround(static_cast<double>(s.tokens) * share * held));
  op.n = up ? 2 * s.ffn : s.hidden;
  op.k = up ? s.hidden : s.ffn;
  op.experts = s.held;
  op.experts_hit = std::llround(std::ceil(held * (1.0 - std::pow(1.0 - share, static_cast<double>(s.tokens))) - 1e-9));
  op.flop = Flop(2.0 * static_cast<double>(op.m) * static_cast<double>(op.n * op.k));
  return op;
}

std::optional<OpKind> kind_named(const std::string& name) {
  for (int kind = 0; kind <= static_cast<int>(OpKind::kOptimizer); ++kind) {
    if (name == name_of(static_cast<OpKind>(kind))) return static_cast<OpKind>(kind);
  }
  return std::nullopt;
}

class Comparison {
 public:
  Comparison(const Profile& profile, std::string where) : profile_(profile), where_(std::move(where)), cost_(profile) {}

  void compare(const char* list, std::size_t index, const std::string& metric, const std::string& family,
               const OperatorCost& cost, const Op& op, Dtype dtype, ExecutionContext context, Seconds measured,
               Watts power = Watts{0}) {
    const Price price = cost.price(op, dtype, context);
    report_price(list, index, metric + "_s", family, price, measured);
    const auto* priced = std::get_if<Priced>(&price);
    if (power.value() <= 0.0 || priced == nullptr || priced->power.value() <= 0.0) return;
    report.compare(metric + "_w", family, {priced->power.value(), power.value(), std::nullopt});
  }

  void report_price(const char* list, std::size_t index, const std::string& metric, const std::string& family,
                    const Price& price, Seconds measured) {
    const std::string row = where_ + ": /" + list + "/" + std::to_string(index);
    if (const auto* miss = std::get_if<Miss>(&price)) {
      report.misses.push_back({row, miss->reason});
      return;
    }
    const auto& priced = std::get<Priced>(price);
    if (priced.tier == Tier::kAnalytic) {
      report.misses.push_back({row, "the profile has no sample of the family " + std::string(name_of(priced.family))});
      return;
    }
    const double reach = std::exp(kNinetiethPercentile *
                                  std::hypot(priced.sigma_random, systematic_sigma(priced.tier, priced.family)));
    const double seconds = priced.time.count();
    report.covered += 1;
    report.compare(metric, family,
                   {seconds, measured.count(), ComparedValue::Interval{seconds / reach, seconds * reach}});
  }

  void gemm(const std::vector<GemmSample>& samples) {
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const GemmSample& s = samples[i];
      compare("gemm", i, "gemm", std::string(name_of(s.dtype)), cost_, op_of(s), s.dtype, {s.threads, s.active_ranks},
              s.time, s.power);
    }
  }

  void attention(const std::vector<AttentionSample>& samples) {
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const AttentionSample& s = samples[i];
      const Op op = op_of(s);
      compare("attention", i, op.kind == OpKind::kAttentionDecode ? "decode_attention" : "prefill_attention",
              std::string(name_of(s.dtype)) + ", heads of " + std::to_string(s.head_dim), cost_, op, s.dtype,
              {s.threads, s.active_ranks}, s.time, s.power);
    }
  }

  void experts(const std::vector<ExpertSample>& samples) {
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const ExpertSample& s = samples[i];
      Price up = cost_.price(op_of(s, GemmSite::kGateUp), s.dtype, {1, 1});
      const Price down = cost_.price(op_of(s, GemmSite::kDown), s.dtype, {1, 1});
      if (std::holds_alternative<Priced>(up) && std::holds_alternative<Priced>(down))
        std::get<Priced>(up).time += std::get<Priced>(down).time;
      report_price("experts", i, "experts_s", std::string(name_of(s.dtype)), up, s.time);
    }
  }

  void stream(const std::vector<StreamSample>& samples) {
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const StreamSample& s = samples[i];
      const auto kind = kind_named(s.op);
      if (!kind) {
        report.misses.push_back({where_ + ": /stream/" + std::to_string(i), "no op has this name"});
        continue;
      }
      Op op;
      op.kind = *kind;
      op.activation_bytes = s.bytes;
      compare("stream", i, "stream", s.op, cost_, op, Dtype::kBf16, {s.threads, s.active_ranks}, s.time);
    }
  }

  void collectives(const std::vector<CollectiveSample>& samples) {
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const CollectiveSample& s = samples[i];
      const auto kind = kind_named(s.op);
      if (!kind) {
        report.misses.push_back({where_ + ": /collectives/" + std::to_string(i), "no op has this name"});
        continue;
      }
      Op op;
      op.kind = *kind;
      op.group = s.ranks;
      op.message_bytes = s.bytes;
      // Held against its own implementation: an engine's choice between them is not what was timed.
      Interconnect path;
      path.backend = s.backend;
      compare("collectives", i, "collective", s.op + " " + s.backend, OperatorCost(messages(), path), op,
              Dtype::kBf16, {1, 1}, s.time);
    }
  }

  ValidationReport report;

 private:
  // The profile without what prices no message: one is looked up per sample and implementation.
  [[nodiscard]] Profile messages() const {
    Profile profile;
    profile.device = profile_.device;
    profile.collectives = profile_.collectives;
    return profile;
  }

  const Profile& profile_;
  std::string where_;
  OperatorCost cost_;
};

}  // namespace

ValidationReport validate_operators(const Profile& profile, const Profile& measured, const std::string& where) {
  if (profile.device != measured.device) {
    throw Error(ErrorKind::kInput, where,
                "holds measurements of \"" + measured.device + "\", the profile is of \"" + profile.device + "\"");
  }
  Comparison comparison(profile, where);
  comparison.gemm(measured.gemm);
  comparison.attention(measured.attention);
  comparison.experts(measured.experts);
  comparison.stream(measured.stream);
  comparison.collectives(measured.collectives);
  return std::move(comparison.report);
}

}  // namespace lindos::sim
