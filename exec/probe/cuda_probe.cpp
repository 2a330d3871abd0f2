// SPDX-License-Identifier: Apache-2.0
#include "exec/probe/cuda_probe.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "exec/cuda/cuda_model.h"
#include "exec/model/rope_table.h"
#include "exec/probe/cuda_probe_parts.h"
#include "exec/probe/probe_parts.h"
#include "exec/runner/rank_worker.h"
#include "exec/telemetry/device_telemetry.h"
#include "kernels/cuda/attention.h"
#include "kernels/cuda/device_limits.h"
#include "kernels/cuda/skinny_gemm.h"
#include "scenarios/error.h"
#include "scenarios/shard_shape.h"

namespace lindos::exec {

namespace {

namespace kc = kernels::cuda;
using cuda::check;
using cuda::DeviceBuffer;
using cuda::DeviceMatrix;
using cuda::Operand;
using cuda::OperandSource;
using cuda::Timed;
using kernels::cuda::Number;

constexpr double kColdBytes = 4.0 * (std::int64_t{1} << 30);
constexpr double kShareOfFree = 0.4;  // of the free memory, for the cold region
constexpr double kGraphSeconds = 1e-3;  // the gap between two replays is microseconds
constexpr int kMostLaunches = 256;
constexpr int kReplays = 9;
constexpr double kLaunchSeconds = 3e-6;
constexpr std::size_t kAlign = 256;
constexpr std::int64_t kQuantisedRow = 4096;  // values that share a scale in the cold region

double bytes_of_matrix(std::int64_t n, std::int64_t k) {
  return static_cast<double>(n) * static_cast<double>(k) * sizeof(Number);
}

// What the operands of all groups need at most.
struct Sizes {
  double cold = 0.0;
  std::int64_t x = kSquare * kSquare, y = kSquare * kSquare;  // numbers
  std::int64_t widest = kSquare;
  std::int64_t positions = 1;
  std::int64_t rows = 1;
  std::int64_t scales = kSquare;  // rows of FP8 matrices that lie together
};

Sizes sizes_of(const CudaProbeRequest& request) {
  Sizes sizes;
  for (const GroupPlan& group : request.groups) {
    const Model& model = request.model;
    const std::int64_t rows = cuda::most_rows(group.limits);
    sizes.rows = std::max(sizes.rows, rows);
    sizes.positions = std::max(sizes.positions, context_limit(model, group.limits));
    for (const StagePlan& stage : group.stages) {
      for (const RankPlan& rank : stage.ranks) {
        const TensorShare& s = rank.share;
        const std::int64_t qkv = (s.q_heads.size() + 2 * s.kv_heads.size()) * model.head_dim;
        const std::int64_t ffn = std::max(s.ffn.size(), shared_columns(model, s).size());
        const std::int64_t wide = std::max({model.hidden, qkv, 2 * ffn});
        sizes.x = std::max(sizes.x, rows * wide);
        sizes.y = std::max({sizes.y, rows * wide, 2 * cuda::graph_bucket(group.limits.max_sequences) * s.vocab.size()});
        sizes.widest = std::max(sizes.widest, wide);
        const std::int64_t held = s.experts.size();
        sizes.scales = std::max({sizes.scales, wide, held * (2 * expert_columns(model, stage, s).size() + model.hidden)});
        sizes.cold = std::max(
            {sizes.cold, bytes_of_matrix(model.vocab, model.hidden), bytes_of_matrix(2 * ffn, model.hidden),
             bytes_of_matrix(3 * s.experts.size() * expert_columns(model, stage, s).size(), model.hidden)});
      }
    }
  }
  return sizes;
}

kc::Element element_of(const CudaProbeRequest& request) { return request.dtype == Dtype::kF16 ? kc::Element::kF16 : kc::Element::kBf16; }

DeviceBuffer cold_region(const CudaProbeRequest& request, const cuda::Stream& stream) {
  const double needed = sizes_of(request).cold;
  const double room = kShareOfFree * request.gpu.free_memory.value();
  if (needed > room) {
    throw Error(ErrorKind::kInfeasible, "probe",
                request.gpu.name + " has " +
                    std::to_string(static_cast<std::int64_t>(request.gpu.free_memory.value() / 1e6)) +
                    " MB free; the largest matrix of " + request.model.name + " alone has " +
                    std::to_string(static_cast<std::int64_t>(needed / 1e6)) + " MB: end what else runs on the device");
  }
  const double bytes = std::min(room, std::max(kColdBytes, 2.0 * needed));
  return cuda::random_numbers(element_of(request), static_cast<std::int64_t>(bytes / sizeof(Number)) / 8 * 8, 1, stream, 0.05F);
}

// Byte at which the `visit`-th operand of `bytes` begins in a region.
std::size_t place_of(std::size_t region, std::int64_t visit, double bytes) {
  const auto step = (static_cast<std::size_t>(bytes) + kAlign - 1) / kAlign * kAlign;
  const std::size_t places = std::max<std::size_t>(1, region / std::max(step, kAlign));
  return static_cast<std::size_t>(visit) % places * step;
}

bool any_fp8(const CudaProbeRequest& request) {
  return std::any_of(request.groups.begin(), request.groups.end(),
                     [](const GroupPlan& group) { return group.weight_dtype == Dtype::kFp8; });
}

// Of the FFN in layers without experts, and of the experts that all tokens share.
std::vector<std::int64_t> dense_widths(const Model& model, const StagePlan& stage, const TensorShare& share) {
  std::vector<std::int64_t> widths;
  for (std::int64_t l = stage.layers.begin; l < stage.layers.end; ++l) {
    const std::int64_t width = model.is_moe_layer(l) ? shared_columns(model, share).size() : share.ffn.size();
    if (width > 0 && std::find(widths.begin(), widths.end(), width) == widths.end()) widths.push_back(width);
  }
  return widths;
}

template <class T>
DeviceBuffer upload(const std::vector<T>& values) {
  DeviceBuffer buffer(values.size() * sizeof(T));
  check(cudaMemcpy(buffer.as<void>(), values.data(), buffer.bytes(), cudaMemcpyHostToDevice), "copy to the device");
  return buffer;
}

Profile described(const CudaProbeRequest& request) {
  Profile profile;
  profile.device = request.device.name;
  profile.label = request.gpu.name;
  profile.source = "lindos probe";
  profile.date = today_utc();
  profile.compute_capability = request.gpu.compute_capability;
  profile.memory = request.gpu.free_memory;
  auto peak = request.device.peak.find(request.dtype);
  // Tensor cores multiply both 16-bit formats at one rate.
  if (peak == request.device.peak.end()) peak = request.device.peak.find(Dtype::kBf16);
  if (peak == request.device.peak.end()) {
    throw Error(ErrorKind::kInput, request.device.name, "the catalogue states no dense bf16 peak, to which MFU refers");
  }
  check(cudaSetDevice(request.gpu.ordinal), "choice of the device");
  double share = 1.0;
  if (request.multiprocessors > 0) {
    share = static_cast<double>(request.multiprocessors) / request.gpu.multiprocessors;
    profile.label += ", " + std::to_string(request.multiprocessors) + " multiprocessors";
  }
  profile.matrix_rate = peak->second * share;
  if (const auto fp8 = request.device.peak.find(Dtype::kFp8); fp8 != request.device.peak.end()) {
    profile.matrix_rates = {{request.dtype, profile.matrix_rate}, {Dtype::kFp8, fp8->second * share}};
  }
  return profile;
}

// One profile holds the times of one 16-bit format.
Dtype common_dtype(const CudaProbeRequest& request) {
  const Dtype dtype = request.groups.empty() ? request.dtype : request.groups.front().activation_dtype;
  for (const GroupPlan& group : request.groups) {
    if (group.activation_dtype == dtype) continue;
    throw Error(ErrorKind::kInput, "plan group " + group.name,
                "computes in " + std::string(name_of(group.activation_dtype)) + ", another in " + std::string(name_of(dtype)) +
                    "; a GPU is probed in one format at a time");
  }
  return dtype;
}

void require_executable(const CudaProbeRequest& request) {
  for (const GroupPlan& group : request.groups) {
    std::string reason;
    if (cuda::executable_on_cuda(request.model, group, reason)) continue;
    throw Error(ErrorKind::kInput, "model " + request.model.name,
                "the CUDA engine cannot run " + reason + " yet, so there is nothing to probe; `predict` can price it");
  }
}

}  // namespace

CudaProbeSession::CudaProbeSession(const CudaProbeRequest& request, Profile& profile)
    : request_(&request),
      profile_(&profile),
      element_(element_of(request)),
      products_(any_fp8(request), sizes_of(request).rows, sizes_of(request).x),
      cold_(cold_region(request, stream_)) {}

void CudaProbeSession::report(const std::string& what, double fraction) const {
  if (request_->cancelled && request_->cancelled()) throw Error(ErrorKind::kCancelled, "", "cancelled");
  if (request_->progress) request_->progress(what, fraction);
}

Number* CudaProbeSession::cold(std::int64_t visit, double bytes) const {
  return cold_.as<Number>() + place_of(cold_.bytes(), visit, bytes) / sizeof(Number);
}

cuda::DeviceMatrix CudaProbeSession::cold_matrix(const Site& site, std::int64_t visit) const {
  if (!site.fp8) return {element_, cold(visit, site.bytes()), site.n, site.k, nullptr};
  return {element_, cold_fp8_.as<std::uint8_t>() + place_of(cold_fp8_.bytes(), visit, site.bytes()), site.n, site.k, scales_.as<float>()};
}

double CudaProbeSession::Site::bytes() const {
  return static_cast<double>(n) * static_cast<double>(k) * (fp8 ? 1.0 : sizeof(Number));
}

int CudaProbeSession::launches_of(double seconds) {
  return std::clamp(static_cast<int>(std::ceil(kGraphSeconds / seconds)), 2, kMostLaunches);
}

double CudaProbeSession::estimate(double bytes, double flop) const {
  return std::max({kLaunchSeconds, bytes / profile_->read_bandwidth.value(), flop / profile_->matrix_rate.value()});
}

void CudaProbeSession::read_bandwidth() {
  report("read bandwidth", 0.0);
  const DeviceBuffer sink(16);
  const Timed read = cuda::time_launches(stream_, 1, [&](int) {
    kc::stream_read(cold_.as<void>(), cold_.bytes() / 16 * 16, sink.as<std::uint32_t>(), {stream_.get(), false});
  });
  cuda::check_launch("read bandwidth");
  profile_->read_bandwidth = BytesPerSecond{static_cast<double>(cold_.bytes() / 16 * 16) / read.best_s};
  profile_->read_bandwidth_by_threads = {profile_->read_bandwidth};
}

// Operands of products and streams. Random: on zeros the arithmetic units draw less power and clock higher.
void CudaProbeSession::prepare() {
  const Sizes sizes = sizes_of(*request_);
  x_ = cuda::random_numbers(element_, sizes.x, 2, stream_);
  y_ = DeviceBuffer(static_cast<std::size_t>(sizes.y) * sizeof(Number));
  vector_ = cuda::random_numbers(element_, (sizes.widest + 7) / 8 * 8, 3, stream_);
  if (any_fp8(*request_)) {
    kc::QuantiseRows q;
    q.x = cold_.as<Number>();
    q.k = kQuantisedRow;
    q.rows = static_cast<std::int64_t>(cold_.bytes() / sizeof(Number)) / q.k;
    cold_fp8_ = DeviceBuffer(static_cast<std::size_t>(q.rows * q.k));
    scales_ = DeviceBuffer(static_cast<std::size_t>(std::max(q.rows, sizes.scales)) * sizeof(float));
    q.y = cold_fp8_.as<std::uint8_t>();
    q.scales = scales_.as<float>();
    kc::quantise_rows(q, {stream_.get(), false});
    cuda::check_launch("quantisation of operands");
  }
  const RopeTable rope = make_rope_table(request_->model, sizes.positions);
  cos_ = upload(rope.cos);
  sin_ = upload(rope.sin);
}

void CudaProbeSession::tune_square() {
  products_.tune({element_, cold(0, 0.0), kSquare, kSquare, nullptr}, {}, x_.as<Number>(), kSquare, y_.as<void>(), false, false,
                 stream_.get());
}

void CudaProbeSession::multiply_square(std::int64_t visit) {
  const DeviceMatrix w{element_, cold(visit, bytes_of_matrix(kSquare, kSquare)), kSquare, kSquare, nullptr};
  products_.multiply(w, {x_.as<void>(), nullptr}, kSquare, y_.as<void>(), false, false, stream_.get());
}

void CudaProbeSession::square_product() {
  report("matrix rate", done_);
  const bool known = std::any_of(profile_->gemm.begin(), profile_->gemm.end(),
                                 [](const GemmSample& s) { return s.n == kSquare && s.k == kSquare; });
  if (known) return;
  const Site site{GemmSite::kNone, kSquare, kSquare, kSquare, false, false};
  tune_square();
  const Timed t = time_product(site, kSquare);
  profile_->gemm.push_back({request_->dtype, kSquare, kSquare, kSquare, 1, 1, Seconds{t.median_s}, t.spread});
}

// One product through the path that CudaModel takes for it.
Timed CudaProbeSession::time_product(const Site& site, std::int64_t m) {
  const double bytes = site.bytes();
  const int launches = launches_of(estimate(bytes, 2.0 * static_cast<double>(m) * static_cast<double>(site.n * site.k)));
  const bool logits = site.site == GemmSite::kLmHead;
  const bool sum = site.site == GemmSite::kO || site.site == GemmSite::kDown;
  const bool norm = site.site == GemmSite::kQkv || site.site == GemmSite::kGateUp;
  const bool fused = m <= kc::kSkinnyRows && kc::skinny_fits(m, site.k);
  OperandSource source;
  source.element = element_;
  source.x = x_.as<Number>();
  source.rows = m;
  source.k = site.k;
  const Operand ready = fused ? Operand{} : products_.prepare(site.fp8, source, nullptr, {stream_.get(), false});
  const Timed t = cuda::time_launches(
      stream_, launches,
      [&](int i) {
        const DeviceMatrix w = cold_matrix(site, i);
        if (!fused) {
          // What attention leaves is not quantised; the other operands come quantised from the kernel before.
          const Operand x = site.site == GemmSite::kO ? products_.prepare(site.fp8, source, nullptr, {stream_.get(), false}) : ready;
          products_.multiply(w, x, m, y_.as<void>(), logits, sum && site.alone, stream_.get());
          return;
        }
        kc::SkinnyGemm g = cuda::skinny_of(w, m);
        if (site.site == GemmSite::kGateUp) {
          const DeviceMatrix up = w.rows(site.n / 2, site.n / 2);
          g = cuda::skinny_of(w.rows(0, site.n / 2), m);
          g.up = up.data;
          g.up_scales = up.scales;
        }
        g.x = x_.as<Number>();
        if (norm) {
          g.norm = vector_.as<Number>();
          g.eps = static_cast<float>(request_->model.rms_eps);
        }
        g.output = logits                              ? kc::SkinnyOutput::kLogits
                   : sum && site.alone                 ? kc::SkinnyOutput::kAdd
                   : site.site == GemmSite::kGateUp ? kc::SkinnyOutput::kSwiglu
                                                       : kc::SkinnyOutput::kStore;
        g.y = y_.as<void>();
        kc::skinny_gemm(g, {stream_.get(), i > 0});
      },
      kReplays);
  cuda::check_launch("a product");
  return t;
}

void CudaProbeSession::gemm_site(const Site& site) {
  if (site.n == 0 || site.k == 0) return;
  const Dtype dtype = site.fp8 ? Dtype::kFp8 : request_->dtype;
  const bool known = std::any_of(profile_->gemm.begin(), profile_->gemm.end(), [&](const GemmSample& s) {
    return s.dtype == dtype && s.n == site.n && s.k == site.k;
  });
  if (known) return;
  const bool logits = site.site == GemmSite::kLmHead;
  const bool sum = site.site == GemmSite::kO || site.site == GemmSite::kDown;
  // What any of the groups tunes.
  std::set<std::int64_t> tuned;
  for (const GroupPlan& group : request_->groups) {
    for (const std::int64_t m : cuda::tuned_rows(group.limits)) {
      if (m <= site.most) tuned.insert(m);
    }
  }
  // As many matrices in turns as a model has layers; the engine's LM head is one.
  std::vector<const void*> layers;
  for (std::int64_t i = 0; !logits && i < request_->model.layers; ++i) layers.push_back(cold_matrix(site, i).data);
  for (const std::int64_t m : tuned) {
    products_.tune(cold_matrix(site, 0), layers, x_.as<Number>(), m, y_.as<void>(), logits, sum && site.alone, stream_.get());
  }
  for (const GemmRows& rows : gemm_rows(site.most)) {
    report("products", done_);
    const Timed t = time_product(site, rows.run);
    for (const std::int64_t m : rows.sampled) {
      profile_->gemm.push_back({dtype, m, site.n, site.k, 1, 1, Seconds{t.median_s}, t.spread});
    }
  }
}

void CudaProbeSession::gemm(const GroupPlan& group) {
  const Model& model = request_->model;
  const std::int64_t tokens = group.limits.max_batched_tokens;
  const bool fp8 = group.weight_dtype == Dtype::kFp8;
  done_ = 0.05;
  for (const StagePlan& stage : group.stages) {
    const bool alone = stage.ranks.size() == 1;
    for (const RankPlan& rank : stage.ranks) {
      const TensorShare& s = rank.share;
      const std::int64_t q = s.q_heads.size() * model.head_dim;
      const std::int64_t kv = s.kv_heads.size() * model.head_dim;
      gemm_site({GemmSite::kQkv, q + 2 * kv, model.hidden, tokens, alone, fp8});
      gemm_site({GemmSite::kO, model.hidden, q, tokens, alone, fp8});
      for (const std::int64_t ffn : dense_widths(model, stage, s)) {
        gemm_site({GemmSite::kGateUp, 2 * ffn, model.hidden, tokens, alone, fp8});
        gemm_site({GemmSite::kDown, model.hidden, ffn, tokens, alone, fp8});
      }
      if (&stage == &group.stages.back()) {
        const std::int64_t sequences = cuda::graph_bucket(group.limits.max_sequences);
        gemm_site({GemmSite::kLmHead, s.vocab.size(), model.hidden, sequences, alone, false});
      }
      done_ = 0.3;
    }
  }
}

CudaProbeSession::Step CudaProbeSession::step_of(const StageShape& shape) const {
  Step step;
  step.input = step_input_of(shape, request_->model.vocab);
  const std::int64_t stride = (shape.context + shape.tokens + kc::kDevicePageTokens - 1) / kc::kDevicePageTokens;
  step.layout = cuda::layout_of(step.input, stride);
  std::vector<std::int32_t> packed(step.layout.size());
  step.counts = cuda::pack_step(step.input, step.layout, packed.data());
  step.packed = upload(packed);
  return step;
}

namespace {

kc::HeadMap heads_of(const Model& model, const TensorShare& share) {
  kc::HeadMap heads;
  heads.q_heads = static_cast<int>(share.q_heads.size());
  heads.group = static_cast<int>(model.group());
  heads.q_offset = static_cast<int>(share.q_heads.begin - model.group() * share.kv_heads.begin);
  return heads;
}

}  // namespace

kc::RopeKvWrite CudaProbeSession::rope_write(const Step& step, const TensorShare& share, Number* pages) const {
  const Model& model = request_->model;
  const auto kv_heads = static_cast<int>(share.kv_heads.size());
  const auto d = static_cast<int>(model.head_dim);
  const auto* input = step.packed.as<std::int32_t>();
  const Number* gain = model.qk_norm ? vector_.as<Number>() : nullptr;
  kc::RopeKvWrite write;
  write.element = element_;
  write.kv = {pages, kv_heads, d};
  write.heads = heads_of(model, share);
  write.transform = {gain, gain, static_cast<float>(model.rms_eps), cos_.as<float>(), sin_.as<float>()};
  write.qkv = {x_.as<Number>(), static_cast<std::int64_t>(write.heads.q_heads + 2 * kv_heads) * d};
  write.rows = input + step.layout.prefill_rows();
  write.row_table = input + step.layout.row_table();
  write.position = input + step.layout.positions();
  write.count = static_cast<int>(step.counts.prefill_rows);
  write.table = input + step.layout.tables();
  write.table_stride = step.layout.table_stride;
  return write;
}

void CudaProbeSession::attention_of(const TensorShare& share, const StageShape& shape, bool alone) {
  report("attention", done_);
  const Model& model = request_->model;
  const std::int64_t d = model.head_dim;
  const std::int64_t kv_heads = share.kv_heads.size();
  const std::int64_t q_heads = share.q_heads.size();
  const Step step = step_of(shape);
  const double pages = static_cast<double>(step.input.blocks.size()) * 2.0 *
                       static_cast<double>(kv_heads * kc::kDevicePageTokens * d) * sizeof(Number);
  const double pairs = static_cast<double>(shape.sequences * shape.tokens) *
                       (static_cast<double>(shape.context) + static_cast<double>(shape.tokens) / 2.0);
  const int launches = launches_of(estimate(pages, 4.0 * pairs * static_cast<double>(q_heads * d)));
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(d)));
  const kc::RopeKvWrite rope = rope_write(step, share, nullptr);
  const std::int64_t ld_out = q_heads * d;
  const auto* input = step.packed.as<std::int32_t>();
  const bool decode = shape.tokens == 1;
  const int splits =
      kc::decode_splits(kc::multiprocessors(), static_cast<int>(shape.sequences), static_cast<int>(kv_heads));
  const DeviceBuffer tickets(static_cast<std::size_t>(shape.sequences * kv_heads) * sizeof(unsigned));
  const DeviceBuffer partials(decode
                                  ? kc::decode_partial_floats(static_cast<int>(shape.sequences),
                                                              static_cast<int>(kv_heads), splits, static_cast<int>(d)) *
                                        sizeof(float)
                                  : 0);
  const Timed t = cuda::time_launches(
      stream_, launches,
      [&](int i) {
        const kc::DeviceKv kv{cold(i, pages), static_cast<int>(kv_heads), static_cast<int>(d)};
        if (decode) {
          kc::DecodeAttention a;
          a.element = element_;
          a.kv = kv;
          a.heads = rope.heads;
          a.transform = rope.transform;
          a.qkv = rope.qkv;
          a.row = input + step.layout.decode_rows();
          a.position = rope.position;
          a.table = rope.table;
          a.table_stride = rope.table_stride;
          a.sequences = static_cast<int>(shape.sequences);
          a.scale = scale;
          a.splits = splits;
          a.tickets = tickets.as<unsigned>();
          a.partials = partials.as<float>();
          a.out = y_.as<Number>();
          a.ld_out = ld_out;
          kc::attention_decode(a, {stream_.get(), alone && shape.sequences <= kc::kSkinnyRows && i > 0});
          return;
        }
        kc::PrefillAttention a;
        a.element = element_;
        a.kv = kv;
        a.heads = rope.heads;
        a.qkv = rope.qkv;
        a.rows = step.input.rows();
        a.tiles = reinterpret_cast<const kc::PrefillTile*>(input + step.layout.tile_list());
        a.count = static_cast<int>(step.counts.tiles);
        a.table = rope.table;
        a.table_stride = rope.table_stride;
        a.scale = scale;
        a.out = y_.as<Number>();
        a.ld_out = ld_out;
        kc::attention_prefill(a, {stream_.get(), false});
      },
      kReplays);
  cuda::check_launch("attention");
  profile_->attention.push_back({request_->dtype, shape.sequences, shape.tokens, shape.context, q_heads, kv_heads, d, 1, 1,
                                 Seconds{t.median_s}, t.spread});
}

void CudaProbeSession::attention(const GroupPlan& group) {
  const Model& model = request_->model;
  done_ = 0.3;
  for (const StagePlan& stage : group.stages) {
    for (const RankPlan& rank : stage.ranks) {
      const TensorShare& share = rank.share;
      if (share.q_heads.empty()) continue;
      const bool known =
          std::any_of(profile_->attention.begin(), profile_->attention.end(), [&](const AttentionSample& s) {
            return s.q_heads == share.q_heads.size() && s.kv_heads == share.kv_heads.size();
          });
      if (known) continue;
      const double token_bytes = 2.0 * static_cast<double>(share.kv_heads.size() * model.head_dim) * sizeof(Number);
      // Pages are whole: some room at the end of each sequence.
      const double room = 0.9 * static_cast<double>(cold_.bytes());
      for (const StageShape& shape : attention_shapes(model, group.limits, token_bytes, room)) {
        attention_of(share, shape, stage.ranks.size() == 1);
      }
      done_ = 0.5;
    }
  }
}

void CudaProbeSession::stream_of(const GroupPlan& group, ShardId shard, std::int64_t rows) {
  report("byte-bound kernels", done_);
  const Model& model = request_->model;
  const TensorShare& share =
      group.stages[static_cast<std::size_t>(shard.stage)].ranks[static_cast<std::size_t>(shard.rank)].share;
  const std::int64_t h = model.hidden;
  const std::vector<std::int64_t> widths = dense_widths(model, group.stages[static_cast<std::size_t>(shard.stage)], share);
  const StageShape shape{1, rows, 0};
  const Step step = step_of(shape);
  const auto* input = step.packed.as<std::int32_t>();
  const auto sample = [&](const Op& op, const std::function<void(int)>& launch) {
    const Timed t = cuda::time_launches(stream_, launches_of(estimate(op.bytes().value(), 0.0)), launch, kReplays);
    cuda::check_launch(name_of(op.kind));
    profile_->stream.push_back({name_of(op.kind), op.bytes(), 1, 1, Seconds{t.median_s}, t.spread});
  };
  const kc::Launch launch{stream_.get(), false};
  const bool fp8 = group.weight_dtype == Dtype::kFp8;
  // Norm and activation in the form that the next product takes.
  OperandSource source;
  source.element = element_;
  source.x = x_.as<Number>();
  source.rows = rows;
  source.norm = vector_.as<Number>();
  source.eps = static_cast<float>(model.rms_eps);
  const auto prepare = [&](kc::QuantiseInput how, std::int64_t width) {
    source.input = how;
    source.k = width;
    (void)products_.prepare(fp8, source, y_.as<Number>(), launch);
  };
  std::set<OpKind> seen;
  for (const Op& op : step_ops(model, group, shard, {{0, rows, true}})) {
    // What lies between the products of routed experts is part of them.
    if (op.bytes().value() <= 0.0 || op.experts > 0 || !seen.insert(op.kind).second) continue;
    switch (op.kind) {
      case OpKind::kEmbedding:
        sample(op,
               [&](int) { kc::embedding(cold(0, 0.0), input + step.layout.ids(), rows, h, y_.as<Number>(), launch); });
        break;
      case OpKind::kNorm:
        sample(op, [&](int) { prepare(kc::QuantiseInput::kNorm, h); });
        break;
      case OpKind::kActivation:
        sample(op, [&](int) { prepare(kc::QuantiseInput::kSwiglu, widths.front()); });
        break;
      case OpKind::kRopeKvWrite:
        // Decodes do it within their attention; a run of one token would be a decode.
        if (rows > 1) sample(op, [&](int) { kc::rope_kv_write(rope_write(step, share, cold(0, 0.0)), launch); });
        break;
      default:
        break;
    }
  }
}

void CudaProbeSession::stream(const GroupPlan& group) {
  done_ = 0.5;
  std::set<std::pair<std::int64_t, std::int64_t>> seen;
  for (std::size_t s = 0; s < group.stages.size(); ++s) {
    for (std::size_t r = 0; r < group.stages[s].ranks.size(); ++r) {
      const TensorShare& share = group.stages[s].ranks[r].share;
      if (!seen.insert({share.q_heads.size(), share.ffn.size()}).second) continue;
      for (const std::int64_t rows : stream_rows(group.limits)) {
        if (rows <= context_limit(request_->model, group.limits)) {
          stream_of(group, {static_cast<int>(s), static_cast<int>(r)}, rows);
        }
      }
    }
  }
}

// The part of the device that the request asks for, for as long as it lives.
class OnPart {
 public:
  explicit OnPart(CudaProbeRequest& request) {
    if (request.multiprocessors == 0) return;
    check(cudaSetDevice(request.gpu.ordinal), "choice of the device");
    auto part = cuda::DevicePartition::cut({request.multiprocessors}).front();
    request.multiprocessors = part->multiprocessors();
    scope_.emplace(std::move(part));
  }

 private:
  std::optional<cuda::DevicePartition::Scope> scope_;
};

Profile cuda_ceilings(const CudaProbeRequest& asked) {
  CudaProbeRequest request = asked;
  const OnPart part(request);
  Profile profile = described(request);
  CudaProbeRequest bare = request;
  bare.groups.clear();
  CudaProbeSession(bare, profile).read_bandwidth();
  return profile;
}

Profile cuda_probe(const CudaProbeRequest& asked) {
  require_executable(asked);
  CudaProbeRequest request = asked;
  request.dtype = common_dtype(asked);
  const OnPart part(request);
  Profile profile = described(request);
  const DeviceTelemetry telemetry = telemetry_of({{request.gpu.pci_bus_id, request.gpu.name}}, {});
  const PowerMeter meter(telemetry.devices.front());
  const bool has_power = request.multiprocessors == 0 && cuda_idle_power(request, meter, profile);
  {
    CudaProbeSession session(request, profile);
    session.read_bandwidth();
    session.prepare();
    for (const GroupPlan& group : request.groups) {
      session.gemm(group);
      session.attention(group);
      session.experts(group);
      session.stream(group);
    }
    session.square_product();
  }
  for (const GroupPlan& group : request.groups) cuda_stages(request, group, profile);
  cuda_step_overhead(request, profile);
  if (has_power) cuda_loaded_power(request, meter, profile);
  if (request.progress) request.progress("done", 1.0);
  return profile;
}

}  // namespace lindos::exec
