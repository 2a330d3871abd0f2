// SPDX-License-Identifier: Apache-2.0
#include "sim/operator_cost.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "scenarios/error.h"
#include "sim/analytic_cost.h"
#include "sim/attention_table.h"
#include "sim/byte_curve.h"
#include "sim/expert_table.h"
#include "sim/gemm_table.h"
#include "sim/kernel_power.h"
#include "sim/roofline.h"

namespace lindos::sim {

namespace {

bool is_message(OpKind kind) {
  return kind == OpKind::kAllReduce || kind == OpKind::kAllGather ||
         kind == OpKind::kReduceScatter || kind == OpKind::kAllToAll ||
         kind == OpKind::kRingExchange || kind == OpKind::kSendRecv;
}

const char* collective_name(OpKind kind) {
  switch (kind) {
    case OpKind::kAllReduce:
      return "all_reduce";
    case OpKind::kAllGather:
      return "all_gather";
    case OpKind::kReduceScatter:
      return "reduce_scatter";
    case OpKind::kAllToAll:
      return "all_to_all";
    default:
      return "send_recv";
  }
}

Family family_of(OpKind kind) {
  switch (kind) {
    case OpKind::kGemm:
    case OpKind::kMoeGemm:
    case OpKind::kBatchedGemm:
      return Family::kGemm;
    case OpKind::kAttentionPrefill:
    case OpKind::kAttentionBackward:
      return Family::kPrefillAttention;
    case OpKind::kAttentionDecode:
      return Family::kDecodeAttention;
    case OpKind::kAllReduce:
    case OpKind::kAllGather:
    case OpKind::kReduceScatter:
    case OpKind::kAllToAll:
    case OpKind::kRingExchange:
    case OpKind::kSendRecv:
      return Family::kCollective;
    case OpKind::kSample:
      return Family::kHost;
    default:
      return Family::kStream;
  }
}

double median_of(std::vector<double> values) {
  if (values.empty()) return 0.0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Equal slices with the totals of the op: from T tokens, K keys and Q visible pairs over J equal
// slices of s tokens after p cached ones, T = Js, K = J(p+s), Q = J(sp + s(s+1)/2) follow s and p.
AttentionShape equal_slices(const Op& op) {
  AttentionShape shape;
  shape.q_heads = op.q_heads;
  shape.kv_heads = std::max<std::int64_t>(1, op.kv_heads);
  shape.head_dim = op.head_dim;
  const double tokens = static_cast<double>(std::max<std::int64_t>(1, op.tokens));
  const double keys_per_token = std::max(1.0, static_cast<double>(op.kv_tokens) / tokens);
  if (op.kind == OpKind::kAttentionDecode) {
    shape.slices = tokens;
    shape.tokens = 1.0;
    shape.context = keys_per_token - 1.0;
    return shape;
  }
  // The backward pass has five products where the forward pass has two.
  const double forward =
      op.kind == OpKind::kAttentionBackward ? op.flop.value() / 2.5 : op.flop.value();
  const std::int64_t value_dim = op.value_dim > 0 ? op.value_dim : op.head_dim;
  const double pairs = forward / (2.0 * static_cast<double>(op.q_heads * (op.head_dim + value_dim)));
  const double length = (pairs / tokens - 0.5) / (keys_per_token - 0.5);
  shape.tokens = std::clamp(length, 1.0, tokens);
  shape.slices = tokens / shape.tokens;
  shape.context = std::max(0.0, shape.tokens * (keys_per_token - 1.0));
  return shape;
}

// The format of the cache that attention reads, from its bytes; `weights` where two formats are as wide.
std::optional<Dtype> cache_dtype(const Op& op, Dtype weights) {
  if (op.kv_bytes.value() <= 0.0) return weights;  // the op does not say
  constexpr double kSame = 1e-6;
  const std::int64_t elements_per_token = op.latent > 0 ? op.latent : 2 * op.kv_heads * op.head_dim;
  const double element = op.kv_bytes.value() / static_cast<double>(op.kv_tokens * elements_per_token);
  for (const Dtype dtype : {weights, Dtype::kBf16, Dtype::kFp8, Dtype::kF32}) {
    if (std::abs(bytes_of(dtype) - element) < kSame) return dtype;
  }
  return std::nullopt;
}

// Keys that a sequence's last query sees; 0 for ops that are not attention.
double keys_per_sequence(const Op& op) {
  if (op.kind != OpKind::kAttentionPrefill && op.kind != OpKind::kAttentionBackward) return 0.0;
  if (op.q_heads <= 0 || op.head_dim <= 0) return 0.0;
  const AttentionShape shape = equal_slices(op);
  return shape.tokens + shape.context;
}

bool has_samples(const Profile& profile, Dtype dtype) {
  const auto is = [dtype](const auto& s) { return s.dtype == dtype; };
  return std::any_of(profile.gemm.begin(), profile.gemm.end(), is) ||
         std::any_of(profile.experts.begin(), profile.experts.end(), is) ||
         std::any_of(profile.attention.begin(), profile.attention.end(), is);
}

struct StreamKey {
  std::string op;
  ExecutionContext context;
};
struct MessageKey {
  std::string op;
  std::string backend;
  int ranks = 1;
};

}  // namespace

const char* name_of(Family family) {
  switch (family) {
    case Family::kGemm:
      return "gemm";
    case Family::kPrefillAttention:
      return "prefill attention";
    case Family::kDecodeAttention:
      return "decode attention";
    case Family::kStream:
      return "stream";
    case Family::kCollective:
      return "collective";
    case Family::kHost:
      return "host";
  }
  return "";
}

const char* name_of(Tier tier) {
  switch (tier) {
    case Tier::kMeasured:
      return "measured";
    case Tier::kInterpolated:
      return "interpolated";
    case Tier::kEdge:
      return "held at edge";
    case Tier::kNeighbour:
      return "neighbour shape";
    case Tier::kAnalytic:
      return "analytic";
  }
  return "";
}

double systematic_sigma(Tier tier, Family family) {
  // Median leave-one-out errors (handbook §1.2, §2.1) × 1.48 give the sigma of a normal with that
  // median.
  switch (tier) {
    case Tier::kMeasured:
      return 0.0;
    case Tier::kInterpolated:
      switch (family) {
        case Family::kGemm:
          return 0.053;  // 3.6 %, unseen site
        case Family::kPrefillAttention:
          return 0.030;  // 2.0 %
        case Family::kDecodeAttention:
          return 0.016;  // 1.1 %
        case Family::kCollective:
          return 0.047;  // 3.2 %
        case Family::kStream:
        case Family::kHost:
          return 0.030;  // assume: as smooth as attention
      }
      return 0.0;
    case Tier::kEdge:
      return 0.14;  // 9.7 %, decode frontier; GEMM far outside 9-15 %
    case Tier::kNeighbour:
      return 0.14;  // assume: no better than the frontier
    case Tier::kAnalytic:
      return 0.25;  // assume: spread of attained utilisation in §1.1, §1.5
  }
  return 0.0;
}

struct OperatorCost::Tables {
  Tables(const Profile& profile, const Interconnect& path)
      : gemm(profile), experts(profile), attention(profile), power(profile), has_bf16(has_samples(profile, Dtype::kBf16)),
        has_f16(has_samples(profile, Dtype::kF16)), interconnect(path) {
    ceiling.device = profile.device;
    ceiling.cores = profile.cores;
    ceiling.compute_capability = profile.compute_capability;
    ceiling.matrix_rate = profile.matrix_rate;
    ceiling.matrix_rates = profile.matrix_rates;
    ceiling.read_bandwidth = profile.read_bandwidth;
    ceiling.read_bandwidth_by_threads = profile.read_bandwidth_by_threads;
    ceiling.per_sequence_overhead = profile.per_sequence_overhead;
    device = &device_class(profile.compute_capability);
    collect_streams(profile);
    collect_messages(profile);
    collect_spreads(profile);
  }

  void collect_streams(const Profile& profile) {
    std::vector<std::pair<StreamKey, std::vector<CurvePoint>>> groups;
    for (const StreamSample& s : profile.stream) {
      if (s.bytes.value() <= 0.0 || s.time.count() <= 0.0) continue;
      const ExecutionContext context{s.threads, s.active_ranks};
      auto group = std::find_if(groups.begin(), groups.end(), [&](const auto& g) {
        return g.first.op == s.op && g.first.context == context;
      });
      if (group == groups.end()) group = groups.insert(groups.end(), {{s.op, context}, {}});
      group->second.push_back({s.bytes, s.time, s.spread});
    }
    for (auto& [key, points] : groups) streams.emplace_back(key, ByteCurve(std::move(points)));
  }

  void collect_messages(const Profile& profile) {
    std::vector<std::pair<MessageKey, std::vector<CurvePoint>>> groups;
    for (const CollectiveSample& s : profile.collectives) {
      if (s.bytes.value() <= 0.0 || s.time.count() <= 0.0 || s.ranks < 2) continue;
      auto group = std::find_if(groups.begin(), groups.end(), [&](const auto& g) {
        return g.first.op == s.op && g.first.backend == s.backend && g.first.ranks == s.ranks;
      });
      if (group == groups.end())
        group = groups.insert(groups.end(), {{s.op, s.backend, s.ranks}, {}});
      group->second.push_back({s.bytes, s.time, s.spread});
    }
    for (auto& [key, points] : groups) messages.emplace_back(key, ByteCurve(std::move(points)));
  }

  void collect_spreads(const Profile& profile) {
    std::array<std::vector<double>, kFamilyCount> all;
    const auto add = [&](Family family, double spread) {
      all[static_cast<std::size_t>(family)].push_back(spread);
    };
    for (const GemmSample& s : profile.gemm) add(Family::kGemm, s.spread);
    for (const AttentionSample& s : profile.attention) {
      add(s.tokens == 1 && s.context > 0 ? Family::kDecodeAttention : Family::kPrefillAttention,
          s.spread);
    }
    for (const StreamSample& s : profile.stream) add(Family::kStream, s.spread);
    for (const CollectiveSample& s : profile.collectives) add(Family::kCollective, s.spread);
    add(Family::kHost, profile.step_overhead_spread);
    for (std::size_t i = 0; i < kFamilyCount; ++i) spreads[i] = median_of(std::move(all[i]));
  }

  // The curve of the op in the nearest context; without one, that of the op whose samples come
  // first.
  [[nodiscard]] std::pair<const ByteCurve*, bool> stream_curve(const std::string& op,
                                                               ExecutionContext context) const {
    const ByteCurve* best = nullptr;
    double best_distance = std::numeric_limits<double>::infinity();
    constexpr double kOtherOp = 1e6;  // any context of the same op is nearer
    for (const auto& [key, curve] : streams) {
      const double d = distance(key.context, context) + (key.op == op ? 0.0 : kOtherOp);
      if (d < best_distance) {
        best_distance = d;
        best = &curve;
      }
    }
    return {best, best_distance == 0.0};
  }

  // The fastest at `bytes` of the curves with the nearest rank count: of several implementations an engine takes the
  // fastest, unless the backend is named.
  struct MessageTime {
    CurveTime time;
    int ranks = 0;
  };
  [[nodiscard]] std::optional<MessageTime> sampled_message(const std::string& op, int ranks,
                                                           Bytes bytes) const {
    if (!interconnect.sampled) return std::nullopt;
    std::optional<MessageTime> best;
    double best_distance = std::numeric_limits<double>::infinity();
    for (const auto& [key, curve] : messages) {
      if (key.op != op || (!interconnect.backend.empty() && key.backend != interconnect.backend))
        continue;
      const double d = std::abs(std::log2(static_cast<double>(key.ranks) / ranks));
      if (d > best_distance) continue;
      const CurveTime time = curve.log_log(bytes);
      if (best && d == best_distance && time.time >= best->time.time) continue;
      best_distance = d;
      best = MessageTime{time, key.ranks};
    }
    return best;
  }

  [[nodiscard]] Priced measured(const CurveTime& t, Family family, bool exact_key) const {
    return {t.time, t.spread, family, exact_key ? t.tier : Tier::kNeighbour};
  }

  [[nodiscard]] Price message(const Op& op) const {
    if (op.group < 2 && op.kind != OpKind::kSendRecv)
      return Priced{Seconds(0), 0.0, Family::kCollective, Tier::kMeasured};
    const int ranks = std::max(2, op.group);
    if (const auto sampled = sampled_message(collective_name(op.kind), ranks, op.message_bytes)) {
      Priced priced = measured(sampled->time, Family::kCollective, sampled->ranks == ranks);
      // Another rank count rescales as the formula does.
      Op as_sampled = op;
      as_sampled.group = sampled->ranks;
      const auto here = analytic_message_time(op, interconnect);
      const auto there = analytic_message_time(as_sampled, interconnect);
      if (sampled->ranks != ranks && here && there) priced.time *= *here / *there;
      return priced;
    }
    if (const auto t = analytic_message_time(op, interconnect)) {
      return Priced{*t, 0.0, Family::kCollective, Tier::kAnalytic};
    }
    return Miss{
        name_of(Family::kCollective), ceiling.device,
        std::string(collective_name(op.kind)) + " ranks=" + std::to_string(op.group) +
            " bytes=" + std::to_string(std::llround(op.message_bytes.value())),
        "the profile has no sample of this collective and the device states no link bandwidth"};
  }

  // `c.rate` in the format that the op multiplies in.
  [[nodiscard]] Ceilings ceilings_of(const Op& op, Dtype weight_dtype,
                                     ExecutionContext context) const {
    return ceilings(ceiling, matrix_dtype(op, weight_dtype), context.threads, context.active_ranks);
  }

  // Whose samples answer: a GPU multiplies f16 and bf16 at one rate and by the same kernels, so those of one alone stand for both.
  [[nodiscard]] Dtype sampled_format(Dtype dtype) const {
    if (ceiling.compute_capability <= 0) return dtype;
    if (dtype == Dtype::kF16 && !has_f16 && has_bf16) return Dtype::kBf16;
    if (dtype == Dtype::kBf16 && !has_bf16 && has_f16) return Dtype::kF16;
    return dtype;
  }

  [[nodiscard]] Priced analytic(const Op& op, Dtype dtype, Family family, const Ceilings& c) const {
    return {analytic_compute_time(op, matrix_dtype(op, dtype), keys_per_sequence(op), c, *device),
            0.0, family, Tier::kAnalytic};
  }

  // One product of grouped experts: its part of the kernel that the samples time as a whole. Nothing without samples.
  [[nodiscard]] std::optional<Priced> expert_price(const Op& op, Dtype dtype, const Ceilings& c) const {
    if (op.experts <= 0 || op.experts_hit <= 0) return std::nullopt;
    const Dtype format = sampled_format(matrix_dtype(op, dtype));
    const auto held = static_cast<double>(op.experts);
    const auto pairs = static_cast<double>(op.m);
    const bool up = op.site == GemmSite::kGateUp;
    const double hidden = static_cast<double>(up ? op.k : op.n);
    const double columns = up ? static_cast<double>(op.n) / 2.0 : static_cast<double>(op.k);
    const auto u = experts.utilisation({pairs / held, held, hidden, columns}, format);
    if (!u) return std::nullopt;
    const Work work = expert_work(pairs, static_cast<double>(op.experts_hit), static_cast<double>(op.n),
                                  static_cast<double>(op.k), bytes_of(format));
    const auto hit = static_cast<double>(op.experts_hit);
    // As one product of all experts' width: their own watts are not in the samples.
    const auto power_of = power.gemm(std::max(1.0, pairs / hit), static_cast<double>(op.n) * hit, static_cast<double>(op.k), format);
    return Priced{roofline(work.flop, work.bytes, c) / u->value, u->spread, Family::kGemm, u->tier, power_of.value_or(Watts{0})};
  }

  [[nodiscard]] Priced gemm_price(const Op& op, Dtype dtype, ExecutionContext context,
                                  const Ceilings& c) const {
    const bool grouped = op.kind == OpKind::kMoeGemm;
    if (grouped) {
      if (const std::optional<Priced> sampled = expert_price(op, dtype, c)) return *sampled;
    }
    const double groups =
        grouped ? static_cast<double>(std::max<std::int64_t>(1, op.experts_hit)) : 1.0;
    const double m = std::max(1.0, static_cast<double>(op.m) / groups);
    const double n = static_cast<double>(op.n);
    const double k = static_cast<double>(op.k);
    // A GPU's grouped kernel has the tiles of all experts at work, like one product as wide as they are together; a CPU
    // takes expert after expert.
    const bool one_kernel = grouped && ceiling.compute_capability > 0;
    const double wide = one_kernel ? n * groups : n;
    const Dtype format = sampled_format(matrix_dtype(op, dtype));
    const std::optional<Utilisation> u = gemm.utilisation(m, wide, k, format, context);
    if (!u) return analytic(op, dtype, Family::kGemm, c);
    const Work work = gemm_work(m, n, k, bytes_of(format));
    const Seconds sol = roofline(work.flop, work.bytes, c) * groups;
    return {sol / u->value, u->spread, Family::kGemm, one_kernel ? Tier::kNeighbour : u->tier,
            power.gemm(m, wide, k, format).value_or(Watts{0})};
  }

  Profile ceiling;  // ceilings and overheads only, no samples
  GemmTable gemm;
  ExpertTable experts;
  AttentionTable attention;
  KernelPower power;
  bool has_bf16, has_f16;
  std::vector<std::pair<StreamKey, ByteCurve>> streams;
  std::vector<std::pair<MessageKey, ByteCurve>> messages;
  Interconnect interconnect;
  const DeviceClass* device = nullptr;
  std::array<double, kFamilyCount> spreads{};
};

OperatorCost::OperatorCost(const Profile& profile, const Interconnect& interconnect)
    : tables_(std::make_unique<const Tables>(profile, interconnect)) {}
OperatorCost::~OperatorCost() = default;
OperatorCost::OperatorCost(OperatorCost&&) noexcept = default;
OperatorCost& OperatorCost::operator=(OperatorCost&&) noexcept = default;

Seconds OperatorCost::speed_of_light(const Op& op, Dtype weight_dtype,
                                     ExecutionContext context) const {
  const Ceilings c = tables_->ceilings_of(op, weight_dtype, context);
  if (op.kind == OpKind::kGemm && op.m > 0 && op.n > 0 && op.k > 0) {
    const Work work =
        gemm_work(static_cast<double>(op.m), static_cast<double>(op.n), static_cast<double>(op.k),
                  bytes_of(matrix_dtype(op, weight_dtype)));
    return roofline(work.flop, work.bytes, c);
  }
  return roofline(op.flop, op.bytes(), c);
}

Price OperatorCost::price(const Op& op, Dtype weight_dtype, ExecutionContext context) const {
  const Family family = family_of(op.kind);
  if (is_message(op.kind)) return tables_->message(op);
  if (op.kind == OpKind::kSample) {
    return Priced{tables_->ceiling.per_sequence_overhead * static_cast<double>(op.tokens), 0.0,
                  Family::kHost, Tier::kMeasured};
  }
  const Ceilings c = tables_->ceilings_of(op, weight_dtype, context);
  if (c.rate.value() <= 0.0 || c.bandwidth.value() <= 0.0) {
    return Miss{name_of(family), tables_->ceiling.device, name_of(op.kind),
                "the profile states neither matrix rate nor bandwidth"};
  }
  if (op.flop.value() <= 0.0 && op.bytes().value() <= 0.0)
    return Priced{Seconds(0), 0.0, family, Tier::kMeasured};
  switch (op.kind) {
    case OpKind::kGemm:
    case OpKind::kMoeGemm:
      if (op.m <= 0 || op.n <= 0 || op.k <= 0)
        return Priced{Seconds(0), 0.0, family, Tier::kMeasured};
      return tables_->gemm_price(op, weight_dtype, context, c);
    case OpKind::kBatchedGemm:
    case OpKind::kAttentionBackward:  // no sample is of these
      return tables_->analytic(op, weight_dtype, family, c);
    case OpKind::kAttentionDecode:
    case OpKind::kAttentionPrefill: {
      if (op.q_heads <= 0 || op.head_dim <= 0) return tables_->analytic(op, weight_dtype, family, c);
      std::optional<Dtype> cache = cache_dtype(op, weight_dtype);
      if (cache) cache = tables_->sampled_format(*cache);
      const bool decode = op.kind == OpKind::kAttentionDecode;
      const bool timed = op.latent == 0 || (decode ? tables_->attention.has_decode(op.kv_heads, op.head_dim)
                                                   : tables_->attention.has_prefill(op.head_dim));
      if (!cache || !timed) return tables_->analytic(op, weight_dtype, family, c);
      const AttentionShape shape = equal_slices(op);
      const auto t = decode ? tables_->attention.decode(shape, *cache, context)
                            : tables_->attention.prefill(shape, *cache, context);
      if (!t) return tables_->analytic(op, weight_dtype, family, c);
      Priced priced{t->time, t->spread, family, t->tier};
      if (op.latent == 0)
        priced.power = (decode ? tables_->power.decode(shape, *cache) : tables_->power.prefill(shape, *cache)).value_or(Watts{0});
      return priced;
    }
    case OpKind::kActivation:
      // The samples of grouped experts hold it.
      if (op.experts > 0 && tables_->experts.has(tables_->sampled_format(weight_dtype))) {
        return Priced{Seconds(0), 0.0, family, Tier::kMeasured};
      }
      [[fallthrough]];
    default: {
      const auto [curve, exact] = tables_->stream_curve(name_of(op.kind), context);
      if (curve == nullptr) return tables_->analytic(op, weight_dtype, family, c);
      return tables_->measured(curve->linear(op.bytes()), family, exact);
    }
  }
}

double OperatorCost::spread(Family family) const {
  return tables_->spreads[static_cast<std::size_t>(family)];
}

}  // namespace lindos::sim
