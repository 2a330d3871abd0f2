// SPDX-License-Identifier: Apache-2.0
#include "exec/cuda/cuda_model.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "exec/model/broken_logits.h"
#include "exec/model/rope_table.h"
#include "kernels/cuda/device_limits.h"
#include "kernels/cuda/top_candidates.h"
#include "scenarios/error.h"
#include "scenarios/shard_shape.h"

namespace lindos::exec::cuda {

namespace {

namespace kc = kernels::cuda;
using kernels::cuda::kDevicePageTokens;

std::size_t elements(std::int64_t rows, std::int64_t width) { return static_cast<std::size_t>(rows * width); }
DeviceBuffer number_rows(std::int64_t rows, std::int64_t width) { return DeviceBuffer(elements(rows, width) * sizeof(Number)); }

DeviceBuffer upload_floats(const std::vector<float>& values) {
  DeviceBuffer buffer(values.size() * sizeof(float));
  check(cudaMemcpy(buffer.as<void>(), values.data(), buffer.bytes(), cudaMemcpyHostToDevice), "copy of the rotary table");
  return buffer;
}

const GroupPlan& checked(const Model& model, const GroupPlan& group) {
  std::string reason;
  if (!executable_on_cuda(model, group, reason)) {
    throw Error(ErrorKind::kInput, "model " + model.name,
                "the CUDA engine cannot run " + reason + " yet; `predict` can price it");
  }
  return group;
}

// FP8 activations have a scale per token, which cuBLASLt takes on these chips only.
constexpr int kFp8Capability = 90;

bool checked_fp8(const GroupPlan& group) {
  const bool fp8 = group.weight_dtype == Dtype::kFp8;
  if (fp8 && kc::compute_capability() != kFp8Capability) {
    throw Error(ErrorKind::kInput, "plan group " + group.name,
                "weight dtype fp8 runs on GPUs of compute capability 9.0 (H100, H200); this one has " +
                    std::to_string(kc::compute_capability() / 10) + "." + std::to_string(kc::compute_capability() % 10) +
                    ": weight_dtype = \"bf16\"");
  }
  return fp8;
}

// Elements of the widest operand that a step of so many rows quantises.
std::int64_t widest(const Model& model, const TensorShare& share) {
  return std::max({model.hidden, share.q_heads.size() * model.head_dim, share.ffn.size(), shared_columns(model, share).size()});
}

constexpr std::size_t kStepSlack = 1024;   // integers

}  // namespace

CudaModel::CudaModel(const Model& model, const GroupPlan& group, ShardId shard, const Checkpoint& checkpoint,
                     std::int64_t kv_blocks, std::int64_t host_blocks, std::int64_t max_positions,
                     Communicator& tensor_group, OpTimer& timer, std::shared_ptr<TunedProducts> tuned, AllReduce all_reduce)
    : model_(model),
      share_(checked(model, group).stages.at(static_cast<std::size_t>(shard.stage)).ranks.at(static_cast<std::size_t>(shard.rank)).share),
      limits_(group.limits),
      element_(element_of(group)),
      layer_range_(group.stages[static_cast<std::size_t>(shard.stage)].layers),
      first_stage_(shard.stage == 0),
      last_stage_(shard.stage + 1 == static_cast<int>(group.stages.size())),
      captures_(first_stage_ && last_stage_),
      weights_(model, group, shard, checkpoint, stream_),
      products_(checked_fp8(group), most_rows(limits_),
                most_rows(limits_) * widest(model, share_), std::move(tuned)),
      timer_(timer, stream_) {
  const RopeTable rope = make_rope_table(model, max_positions);
  cos_ = upload_floats(rope.cos);
  sin_ = upload_floats(rope.sin);
  const std::int64_t d = model.head_dim;
  const std::int64_t q_heads = share_.q_heads.size();
  const std::int64_t kv_heads = share_.kv_heads.size();
  kv_block_elements_ = elements(2 * kv_heads, kDevicePageTokens * d);
  kv_layer_elements_ = static_cast<std::size_t>(kv_blocks) * kv_block_elements_;
  kv_ = DeviceBuffer(kv_layer_elements_ * static_cast<std::size_t>(layer_range_.size()) * sizeof(Number));
  host_kv_ = PinnedBuffer(static_cast<std::size_t>(host_blocks * layer_range_.size()) * kv_block_elements_ * sizeof(Number));
  table_stride_ = (max_positions + kDevicePageTokens - 1) / kDevicePageTokens;

  const std::int64_t tokens = most_rows(limits_);
  if (tensor_group.size() > 1) {
    group_ = make_tensor_group(tensor_group, element_, tokens, model.hidden, all_reduce);
  } else {
    residual_ = number_rows(tokens, model.hidden);
  }
  normed_ = number_rows(tokens, model.hidden);
  qkv_ = number_rows(tokens, (q_heads + 2 * kv_heads) * d);
  attention_ = number_rows(tokens, q_heads * d);
  const std::int64_t ffn = std::max(share_.ffn.size(), shared_columns(model, share_).size());
  gate_up_ = number_rows(tokens, 2 * ffn);
  activated_ = number_rows(tokens, ffn);
  if (model.is_moe()) moe_ = MoeBlock(model, group, group.stages[static_cast<std::size_t>(shard.stage)], share_, tokens);
  const int sequences = static_cast<int>(graph_bucket(limits_.max_sequences));
  if (kv_heads > 0) {
    // The most that any number of sequences needs: few sequences are split, many are not.
    std::size_t most = 0;
    for (int n = 1; n <= sequences; ++n) {
      most = std::max(most, kc::decode_partial_floats(n, static_cast<int>(kv_heads),
                                                      kc::decode_splits(kc::multiprocessors(), n, static_cast<int>(kv_heads)),
                                                      static_cast<int>(d)));
    }
    partials_ = DeviceBuffer(most * sizeof(float));
    tickets_ = DeviceBuffer(elements(sequences, kv_heads) * sizeof(unsigned));
  }
  if (last_stage_) {
    logits_ = DeviceBuffer(elements(sequences, share_.vocab.size()) * sizeof(float));
    argmax_tickets_ = DeviceBuffer(elements(sequences, 1) * sizeof(unsigned));
    argmax_parts_ = DeviceBuffer(elements(sequences, kc::kArgmaxParts) * sizeof(kc::Best));
    best_ = DeviceBuffer(elements(sequences, 1) * sizeof(kc::Best));
    best_host_ = PinnedBuffer(elements(sequences, 1) * sizeof(kc::Best));
  }
  if (!first_stage_ || !last_stage_) {
    stage_host_ = PinnedBuffer(elements(tokens, model.hidden) * sizeof(float));
    stage_numbers_ = PinnedBuffer(elements(tokens, model.hidden) * sizeof(Number));
  }
  step_capacity_ = static_cast<std::size_t>(4 * tokens + (2 + table_stride_) * sequences) +
                   static_cast<std::size_t>((tokens / kc::kPrefillTileRows + sequences + 1) * StepLayout::kTileInts) + kStepSlack;
  step_input_ = DeviceBuffer(step_capacity_ * sizeof(std::int32_t));
  step_staging_ = PinnedBuffer(step_capacity_ * sizeof(std::int32_t));
  tune();
  if (!group_) capture_all();
}

// Graphs of ranks know the others' memory. Whatever allocates or is loaded at its first launch comes before the first step: where ranks
// share a device it would wait for kernels that wait for this rank.
void CudaModel::meet() {
  if (!group_) return;
  group_->meet();
  capture_all();
  if (!last_stage_) return;
  reserve_candidates(kc::kMostCandidates);
  kc::top_candidates(logits_.as<float>(), 1, share_.vocab.size(), static_cast<std::int32_t>(share_.vocab.begin), 1, candidates_.as<kc::Best>(),
                     {stream_.get(), false});
  wait("a first choice of tokens");
}

void CudaModel::capture_all() {
  if (!can_capture()) return;
  for (std::int64_t bucket = graph_bucket(limits_.max_sequences); bucket >= 1; bucket /= 2) (void)graph_for(bucket);
}

CudaModel::~CudaModel() {
  for (auto& [bucket, graph] : graphs_) {
    if (graph.executable != nullptr) (void)cudaGraphExecDestroy(graph.executable);
  }
}

std::size_t CudaModel::scratch_bytes() const {
  std::size_t bytes = cos_.bytes() + sin_.bytes() + residual_.bytes() + normed_.bytes() + qkv_.bytes() + attention_.bytes() +
                      gate_up_.bytes() + activated_.bytes() + logits_.bytes() + (group_ ? group_->bytes() : 0) +
                      tickets_.bytes() + partials_.bytes() + argmax_tickets_.bytes() + argmax_parts_.bytes() + best_.bytes() + candidates_.bytes() +
                      step_input_.bytes() + products_.scratch_bytes() + moe_.scratch_bytes();
  for (const auto& [bucket, graph] : graphs_) bytes += graph.input.bytes();
  return bytes;
}

Number* CudaModel::residual() const { return group_ ? group_->residual() : residual_.as<Number>(); }

bool CudaModel::can_capture() const { return captures_ && (!group_ || group_->can_capture()); }

void CudaModel::wait(const char* what) {
  if (group_) {
    group_->wait(stream_, what);
  } else {
    stream_.synchronise(what);
  }
}

kc::DeviceKv CudaModel::kv_of(std::int64_t layer) const {
  return {kv_.as<Number>() + kv_layer_elements_ * static_cast<std::size_t>(layer), static_cast<int>(share_.kv_heads.size()),
          static_cast<int>(model_.head_dim)};
}

kc::HeadMap CudaModel::heads() const {
  return {static_cast<int>(share_.q_heads.size()), static_cast<int>(model_.group()),
          static_cast<int>(share_.q_heads.begin - model_.group() * share_.kv_heads.begin)};
}

float CudaModel::attention_scale() const {
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(model_.head_dim)));
}

int CudaModel::window_of(std::int64_t layer) const {
  const auto global_layer = static_cast<std::size_t>(layer_range_.begin + layer);
  return model_.sliding_window.empty() ? 0 : static_cast<int>(model_.sliding_window[global_layer]);
}

void CudaModel::mark(const Launches& step, OpFamily family) {
  if (step.timed) timer_.mark(family);
}

std::span<float> CudaModel::incoming(std::int64_t rows) {
  return {stage_host_.as<float>(), elements(rows, model_.hidden)};
}

std::span<const float> CudaModel::outgoing(std::int64_t rows) {
  const std::size_t n = elements(rows, model_.hidden);
  check(cudaMemcpyAsync(stage_numbers_.as<void>(), residual(), n * sizeof(Number), cudaMemcpyDeviceToHost, stream_.get()),
        "copy of the residual stream");
  wait("a step of a pipeline stage");
  timer_.book(class_key_);
  const auto* source = stage_numbers_.as<Number>();
  float* out = stage_host_.as<float>();
  for (std::size_t i = 0; i < n; ++i) out[i] = from_number(element_, source[i]);
  return {out, n};
}

// Packs the step for a launch kernel by kernel.
void CudaModel::upload(const StepInput& input) {
  current_ = {};
  current_.layout = layout_of(input, table_stride_);
  LINDOS_ASSERT(current_.layout.size() <= step_capacity_, "step beyond the limits of the plan");
  // The staging block may still be on its way to the device for the step before.
  wait("the step before");
  timer_.book(class_key_);
  auto* staging = step_staging_.as<std::int32_t>();
  current_.counts = pack_step(input, current_.layout, staging);
  check(cudaMemcpyAsync(step_input_.as<void>(), staging, current_.layout.size() * sizeof(std::int32_t), cudaMemcpyHostToDevice,
                        stream_.get()),
        "copy of a step");
  current_.input = step_input_.as<std::int32_t>();
  current_.rows = input.rows();
  current_.logit_rows = static_cast<std::int64_t>(input.logit_rows.size());
  current_.timed = true;
  current_.fused = current_.counts.prefill_rows == 0 && current_.rows <= kc::kSkinnyRows;
}

// On a stream of their own, layer after layer: a layer waits for its own copies, so that those of later layers hide behind
// earlier ones. All of the step before has ended by then, and a block's next tokens come after its layer's copies. (A copy of
// all layers at once would need a pitch beyond the 2^31 bytes that cudaMemcpy2D takes.)
void CudaModel::copy_blocks(const StepInput& input) {
  copies_pending_ = !input.copies.empty();
  if (!copies_pending_) return;
  wait("a step");
  timer_.book(class_key_);
  const std::size_t bytes = kv_block_elements_ * sizeof(Number);
  const auto layers = static_cast<std::size_t>(layer_range_.size());
  for (std::size_t l = 0; l < layers; ++l) {
    for (const kernels::KvBlockCopy& copy : input.copies) {
      Number* const device = kv_.as<Number>() + l * kv_layer_elements_ + static_cast<std::size_t>(copy.pool) * kv_block_elements_;
      Number* const host = host_kv_.as<Number>() + (static_cast<std::size_t>(copy.host) * layers + l) * kv_block_elements_;
      const bool out = copy.to_host != 0;
      check(cudaMemcpyAsync(out ? host : device, out ? device : host, bytes,
                            out ? cudaMemcpyDeviceToHost : cudaMemcpyHostToDevice, copy_stream_.get()),
            "copy of KV blocks");
    }
    if (copied_.size() <= l) copied_.emplace_back(false);
    copied_[l].record(copy_stream_);
  }
}

void CudaModel::forward(const StepInput& input) {
  copy_blocks(input);
  // A graph could only wait for the copies of all layers.
  graph_step_ = can_capture() && decode_only(input) && !copies_pending_;
  if (!graph_step_) {
    class_key_ = 0;
    upload(input);
    run_kernels();
    return;
  }
  Graph& graph = graph_for(graph_bucket(input.rows()));
  if (!graph.learnt) {
    // Once per bucket the step also runs kernel by kernel, which tells how the graph's time divides. It writes what the
    // graph then writes again.
    graph.learnt = true;
    upload(input);
    run_kernels();
    head(current_);
    check_launch("a step");
    wait("a step");
    timer_.learn(graph_bucket(input.rows()));
  }
  class_key_ = graph_bucket(input.rows());
  run_graph(input);
}

void CudaModel::run_kernels() {
  timer_.begin();
  if (first_stage_) {
    kc::embedding(weights_.embedding().numbers(), current_.input + current_.layout.ids(), current_.rows, model_.hidden,
                  residual(), launch(current_));
    mark(current_, OpFamily::kEmbedding);
  } else {
    const std::size_t n = elements(current_.rows, model_.hidden);
    const float* in = stage_host_.as<float>();
    auto* rounded = stage_numbers_.as<Number>();
    for (std::size_t i = 0; i < n; ++i) rounded[i] = to_number(element_, in[i]);
    check(cudaMemcpyAsync(residual(), rounded, n * sizeof(Number), cudaMemcpyHostToDevice, stream_.get()),
          "copy of the residual stream");
    mark(current_, OpFamily::kCommunication);
  }
  run_layers(current_);
  check_launch("a step");
}

void CudaModel::run_layers(const Launches& step) {
  normed_with_ = nullptr;
  for (std::int64_t l = 0; l < layer_range_.size(); ++l) {
    if (copies_pending_) {
      check(cudaStreamWaitEvent(stream_.get(), copied_[static_cast<std::size_t>(l)].get(), 0), "waiting for KV blocks");
      mark(step, OpFamily::kKvCopy);
    }
    attention_block(step, l);
    ffn_block(step, l);
  }
}

void CudaModel::attention_block(const Launches& step, std::int64_t layer) {
  const DeviceLayer& w = weights_.layers()[static_cast<std::size_t>(layer)];
  const std::int64_t q_width = share_.q_heads.size() * model_.head_dim;
  const auto eps = static_cast<float>(model_.rms_eps);
  if (q_width > 0) {
    if (small(step, w.qkv)) {
      kc::SkinnyGemm g = skinny_of(w.qkv, step.rows);
      g.x = residual();
      g.norm = w.input_norm;
      g.eps = eps;
      g.bias = w.qkv_bias;
      g.y = qkv_.as<void>();
      kc::skinny_gemm(g, launch(step));
    } else {
      const Operand x = normed(step, w.qkv, w.input_norm);
      products_.multiply(w.qkv, x, step.rows, qkv_.as<void>(), false, false, stream_.get());
      if (w.qkv_bias != nullptr) kc::bias_add(element_, qkv_.as<Number>(), w.qkv_bias, step.rows, w.qkv.n, launch(step));
    }
    mark(step, OpFamily::kQkv);
    attend(step, layer);
    mark(step, OpFamily::kAttention);
  }
  const bool norm_follows = w.experts ? !moe_.is_few(step.rows) : follows_normed(step, w.gate_up);
  project_and_add(step, w.o, OpFamily::kO, {attention_.as<void>(), nullptr}, w.o_bias, norm_follows ? w.post_norm : nullptr);
}

const Number* CudaModel::norm_after(const Launches& step, std::int64_t layer) const {
  if (layer + 1 == layer_range_.size()) return nullptr;
  const DeviceLayer& next = weights_.layers()[static_cast<std::size_t>(layer + 1)];
  return follows_normed(step, next.qkv) ? next.input_norm : nullptr;
}

bool CudaModel::follows_normed(const Launches& step, const DeviceMatrix& w) { return w.n > 0 && !w.fp8() && !small(step, w); }

Operand CudaModel::normed(const Launches& step, const DeviceMatrix& w, const Number* norm) {
  const bool ready = norm == nullptr || normed_with_ == norm;
  OperandSource source;
  source.element = element_;
  source.x = ready ? normed_.as<Number>() : residual();
  source.rows = step.rows;
  source.k = model_.hidden;
  source.input = ready ? kc::QuantiseInput::kPlain : kc::QuantiseInput::kNorm;
  source.norm = norm;
  source.eps = static_cast<float>(model_.rms_eps);
  const Operand x = products_.prepare(w.fp8(), source, normed_.as<Number>(), launch(step));
  if (!ready || w.fp8()) mark(step, OpFamily::kElementwise);
  return x;
}

void CudaModel::attend(const Launches& step, std::int64_t layer) {
  const DeviceLayer& w = weights_.layers()[static_cast<std::size_t>(layer)];
  const auto kv_heads = static_cast<int>(share_.kv_heads.size());
  const auto d = static_cast<int>(model_.head_dim);
  const kc::HeadMap heads = this->heads();
  const kc::HeadTransform transform{w.q_norm, w.k_norm, static_cast<float>(model_.rms_eps), cos_.as<float>(), sin_.as<float>()};
  const kc::DeviceQkv qkv{qkv_.as<Number>(), static_cast<std::int64_t>(heads.q_heads + 2 * kv_heads) * d};
  const float scale = attention_scale();
  const int window = window_of(layer);
  const StepLayout& at = step.layout;
  const std::int32_t* tables = step.input + at.tables();
  const std::int64_t ld_out = static_cast<std::int64_t>(heads.q_heads) * d;
  if (step.counts.decode_rows > 0) {
    kc::DecodeAttention a;
    a.element = element_;
    a.kv = kv_of(layer);
    a.heads = heads;
    a.transform = transform;
    a.qkv = qkv;
    a.row = step.input + at.decode_rows();
    a.position = step.input + at.positions();
    a.table = tables;
    a.table_stride = at.table_stride;
    a.sequences = static_cast<int>(step.counts.decode_rows);
    a.scale = scale;
    a.window = window;
    a.splits = kc::decode_splits(kc::multiprocessors(), a.sequences, kv_heads);
    a.tickets = tickets_.as<unsigned>();
    a.partials = partials_.as<float>();
    a.out = attention_.as<Number>();
    a.ld_out = ld_out;
    kc::attention_decode(a, launch(step));
  }
  if (step.counts.prefill_rows > 0) {
    kc::RopeKvWrite write;
    write.element = element_;
    write.kv = kv_of(layer);
    write.heads = heads;
    write.transform = transform;
    write.qkv = qkv;
    write.rows = step.input + at.prefill_rows();
    write.row_table = step.input + at.row_table();
    write.position = step.input + at.positions();
    write.count = static_cast<int>(step.counts.prefill_rows);
    write.table = tables;
    write.table_stride = at.table_stride;
    kc::rope_kv_write(write, launch(step));
    kc::PrefillAttention a;
    a.element = element_;
    a.kv = kv_of(layer);
    a.heads = heads;
    a.qkv = qkv;
    a.rows = step.rows;
    a.tiles = reinterpret_cast<const kc::PrefillTile*>(step.input + at.tile_list());
    a.count = static_cast<int>(step.counts.tiles);
    a.table = tables;
    a.table_stride = at.table_stride;
    a.scale = scale;
    a.window = window;
    a.out = attention_.as<Number>();
    a.ld_out = ld_out;
    kc::attention_prefill(a, launch(step));
  }
}

Operand CudaModel::activate(const Launches& step, const DeviceLayer& w, bool is_normed) {
  const std::int64_t f = w.gate_up.n / 2;
  const Operand activated{activated_.as<void>(), nullptr};
  if (f == 0) return activated;
  if (small(step, w.gate_up)) {
    const DeviceMatrix up = w.gate_up.rows(f, f);
    kc::SkinnyGemm g = skinny_of(w.gate_up.rows(0, f), step.rows);
    g.up = up.data;
    g.up_scales = up.scales;
    g.x = is_normed ? normed_.as<Number>() : residual();
    g.norm = is_normed ? nullptr : w.post_norm;
    g.eps = static_cast<float>(model_.rms_eps);
    g.bias = w.gate_up_bias;
    g.up_bias = w.gate_up_bias == nullptr ? nullptr : w.gate_up_bias + f;
    g.y = activated_.as<void>();
    g.output = kc::SkinnyOutput::kSwiglu;
    kc::skinny_gemm(g, launch(step));
    mark(step, OpFamily::kGateUp);
    return activated;
  }
  const Operand x = normed(step, w.gate_up, is_normed ? nullptr : w.post_norm);
  products_.multiply(w.gate_up, x, step.rows, gate_up_.as<void>(), false, false, stream_.get());
  if (w.gate_up_bias != nullptr) kc::bias_add(element_, gate_up_.as<Number>(), w.gate_up_bias, step.rows, 2 * f, launch(step));
  mark(step, OpFamily::kGateUp);
  OperandSource source;
  source.element = element_;
  source.x = gate_up_.as<Number>();
  source.rows = step.rows;
  source.k = f;
  source.input = kc::QuantiseInput::kSwiglu;
  // The product that follows may still be one of few rows, which takes 16-bit numbers.
  const Operand prepared = products_.prepare(w.down.fp8() && !small(step, w.down), source, activated_.as<Number>(), launch(step));
  mark(step, OpFamily::kElementwise);
  return prepared;
}

void CudaModel::ffn_block(const Launches& step, std::int64_t layer) {
  const DeviceLayer& w = weights_.layers()[static_cast<std::size_t>(layer)];
  if (w.experts) {
    experts_block(step, w, norm_after(step, layer));
  } else {
    project_and_add(step, w.down, OpFamily::kDown, activate(step, w, false), w.down_bias, norm_after(step, layer));
  }
}

// The residual stream is written last: all experts read it.
void CudaModel::experts_block(const Launches& step, const DeviceLayer& w, const Number* next_norm) {
  MoeStep routed;
  routed.rows = step.rows;
  routed.position = step.input + step.layout.positions();
  routed.x = residual();
  routed.norm = w.post_norm;
  routed.is_normed = normed_with_ == w.post_norm;
  routed.normed = normed_.as<Number>();
  routed.launch = launch(step);
  routed.mark = [this, &step](OpFamily family) { mark(step, family); };
  moe_.choose(*w.experts, routed, products_);
  moe_.activate(*w.experts, routed);
  const Operand shared = activate(step, w, true);
  Number* y = group_ ? group_->partial() : residual();
  moe_.sum(*w.experts, routed, y, !group_);
  if (w.down.k > 0 && !group_) {
    project_and_add(step, w.down, OpFamily::kDown, shared, nullptr, nullptr);
  } else if (w.down.k > 0) {
    // On top of what the routed experts left.
    if (small(step, w.down)) {
      kc::SkinnyGemm g = skinny_of(w.down, step.rows);
      g.x = static_cast<const Number*>(shared.data);
      g.y = y;
      g.output = kc::SkinnyOutput::kAdd;
      kc::skinny_gemm(g, launch(step));
    } else {
      products_.multiply(w.down, operand_of(step, w.down, shared), step.rows, y, false, true, stream_.get());
    }
    mark(step, OpFamily::kDown);
  }
  if (group_) sum_over_ranks(step, nullptr, next_norm);
}

void CudaModel::sum_over_ranks(const Launches& step, const Number* bias, const Number* next_norm) {
  group_->add(bias, {next_norm, static_cast<float>(model_.rms_eps), normed_.as<Number>()}, step.rows, launch(step));
  normed_with_ = next_norm;
  mark(step, OpFamily::kCommunication);
}

bool CudaModel::small(const Launches& step, const DeviceMatrix& w) { return step.fused && kc::skinny_fits(step.rows, w.k); }

// x as w asks for it: what a kernel for few rows left, or attention, is not quantised.
Operand CudaModel::operand_of(const Launches& step, const DeviceMatrix& w, const Operand& x) {
  if (w.fp8() == (x.scales != nullptr)) return x;
  OperandSource source;
  source.element = element_;
  source.x = static_cast<const Number*>(x.data);
  source.rows = step.rows;
  source.k = w.k;
  return products_.prepare(w.fp8(), source, nullptr, launch(step));
}

void CudaModel::project_and_add(const Launches& step, const DeviceMatrix& w, OpFamily family, const Operand& x, const Number* bias,
                                const Number* next_norm) {
  if (group_) {
    // A rank without heads or columns adds zeros to the sum; it still takes part in it.
    if (w.k > 0 && small(step, w)) {
      kc::SkinnyGemm g = skinny_of(w, step.rows);
      g.x = static_cast<const Number*>(x.data);
      g.y = group_->partial();
      g.prefetch = family == OpFamily::kO;
      kc::skinny_gemm(g, launch(step));
    } else if (w.k > 0) {
      products_.multiply(w, operand_of(step, w, x), step.rows, group_->partial(), false, false, stream_.get());
    } else {
      check(cudaMemsetAsync(group_->partial(), 0, elements(step.rows, model_.hidden) * sizeof(Number), stream_.get()),
            "clearing a partial sum");
    }
    mark(step, family);
    // After a memset nothing may start early.
    Launches sum = step;
    sum.dependent = step.dependent && w.k > 0;
    sum_over_ranks(sum, bias, next_norm);
    return;
  }
  if (small(step, w)) {
    kc::SkinnyGemm g = skinny_of(w, step.rows);
    g.x = static_cast<const Number*>(x.data);
    g.bias = bias;
    g.y = residual();
    g.output = kc::SkinnyOutput::kAdd;
    // Attention leaves memory idle at short context: the matrix after it can come early.
    g.prefetch = family == OpFamily::kO;
    kc::skinny_gemm(g, launch(step));
  } else {
    products_.multiply(w, operand_of(step, w, x), step.rows, residual(), false, true, stream_.get());
    if (bias != nullptr) kc::bias_add(element_, residual(), bias, step.rows, w.n, launch(step));
  }
  mark(step, family);
}

void CudaModel::head(const Launches& step) {
  const std::int64_t h = model_.hidden;
  const auto eps = static_cast<float>(model_.rms_eps);
  const std::int32_t* rows = step.input + step.layout.logit_rows();
  const DeviceMatrix& w = weights_.lm_head();
  const std::int64_t wanted = step.logit_rows;
  kc::rmsnorm(element_, residual(), rows, weights_.final_norm(), eps, wanted, h, normed_.as<Number>(), launch(step));
  mark(step, OpFamily::kElementwise);
  if (kc::skinny_fits(wanted, h)) {
    kc::SkinnyGemm g = skinny_of(w, wanted);
    g.x = normed_.as<Number>();
    g.y = logits_.as<void>();
    g.output = kc::SkinnyOutput::kLogits;
    kc::skinny_gemm(g, launch(step));
  } else {
    products_.multiply(w, {normed_.as<void>(), nullptr}, wanted, logits_.as<void>(), true, false, stream_.get());
  }
  mark(step, OpFamily::kLmHead);
  kc::argmax(logits_.as<float>(), wanted, w.n, static_cast<std::int32_t>(share_.vocab.begin), best_.as<kc::Best>(),
             {argmax_tickets_.as<unsigned>(), argmax_parts_.as<kc::Best>()}, launch(step));
  check(cudaMemcpyAsync(best_host_.as<void>(), best_.as<void>(), elements(wanted, 1) * sizeof(kc::Best), cudaMemcpyDeviceToHost,
                        stream_.get()),
        "copy of sampled tokens");
  mark(step, OpFamily::kSample);
}

void CudaModel::candidates(const StepInput& input, std::int64_t per_row, std::vector<kernels::Candidate>& out) {
  if (!graph_step_) {
    head(current_);
    check_launch("the LM head");
  }
  const bool on_device = per_row > 1 && per_row <= kc::kMostCandidates;
  if (on_device) choose_candidates(per_row);
  wait("a step");
  timer_.book(class_key_);
  out.clear();
  const auto* best = best_host_.as<kc::Best>();
  for (std::size_t i = 0; i < input.logit_rows.size(); ++i) {
    if (std::isfinite(best[i].logit)) continue;
    throw broken_logits(input, i, dtype_of(element_), ", or a fault of the device (look for Xid and ECC errors in the system log)");
  }
  if (per_row == 1) {
    for (std::size_t i = 0; i < input.logit_rows.size(); ++i) out.push_back({best[i].logit, best[i].id});
    return;
  }
  if (on_device) {
    const auto* chosen = candidates_host_.as<kc::Best>();
    for (std::size_t i = 0; i < elements(current_.logit_rows, per_row); ++i) out.push_back({chosen[i].logit, chosen[i].id});
    return;
  }
  const std::span<const float> logits = last_logits();
  const std::int64_t n = share_.vocab.size();
  std::vector<kernels::Candidate> row;
  for (std::size_t i = 0; i < input.logit_rows.size(); ++i) {
    kernels::top_candidates(logits.data() + static_cast<std::int64_t>(i) * n, n, static_cast<std::int32_t>(share_.vocab.begin),
                            per_row, row);
    out.insert(out.end(), row.begin(), row.end());
  }
}

void CudaModel::reserve_candidates(std::int64_t per_row) {
  const std::size_t bytes = elements(graph_bucket(limits_.max_sequences), per_row) * sizeof(kc::Best);
  if (candidates_.bytes() >= bytes) return;
  candidates_ = DeviceBuffer(bytes);
  candidates_host_ = PinnedBuffer(bytes);
}

void CudaModel::choose_candidates(std::int64_t per_row) {
  reserve_candidates(per_row);
  kc::top_candidates(logits_.as<float>(), current_.logit_rows, share_.vocab.size(), static_cast<std::int32_t>(share_.vocab.begin),
                     static_cast<int>(per_row), candidates_.as<kc::Best>(), {stream_.get(), false});
  check(cudaMemcpyAsync(candidates_host_.as<void>(), candidates_.as<void>(), elements(current_.logit_rows, per_row) * sizeof(kc::Best),
                        cudaMemcpyDeviceToHost, stream_.get()),
        "copy of candidates");
}

std::span<const float> CudaModel::last_logits() {
  logits_host_.resize(elements(current_.logit_rows, share_.vocab.size()));
  check(cudaMemcpyAsync(logits_host_.data(), logits_.as<void>(), logits_host_.size() * sizeof(float), cudaMemcpyDeviceToHost,
                        stream_.get()),
        "copy of logits");
  wait("copy of logits");
  return logits_host_;
}

CudaModel::Graph& CudaModel::graph_for(std::int64_t bucket) {
  Graph& graph = graphs_[bucket];
  if (graph.executable != nullptr) return graph;
  graph.layout = {bucket, bucket, table_stride_, 0};
  graph.input = DeviceBuffer(graph.layout.size() * sizeof(std::int32_t));
  graph.staging = PinnedBuffer(graph.layout.size() * sizeof(std::int32_t));
  Launches step;
  step.input = graph.input.as<std::int32_t>();
  step.layout = graph.layout;
  step.counts.decode_rows = bucket;
  step.rows = bucket;
  step.logit_rows = bucket;
  step.fused = bucket <= kc::kSkinnyRows;
  // Edges that let a kernel start early; products of the library do not take part, and beside them they gain nothing.
  step.dependent = step.fused;
  cudaGraph_t captured = nullptr;
  const Number* const first_partial = group_ ? group_->partial() : nullptr;
  check(cudaStreamBeginCapture(stream_.get(), cudaStreamCaptureModeThreadLocal), "capture of a graph");
  kc::embedding(weights_.embedding().numbers(), step.input + step.layout.ids(), step.rows, model_.hidden, residual(),
                {stream_.get(), false});
  run_layers(step);
  head(step);
  check(cudaStreamEndCapture(stream_.get(), &captured), "capture of a graph");
  LINDOS_ASSERT(!group_ || group_->partial() == first_partial, "a graph begins with the buffer that the step before left free");
  check(cudaGraphInstantiate(&graph.executable, captured, 0), "instantiation of a graph");
  (void)cudaGraphDestroy(captured);
  check(cudaGraphUpload(graph.executable, stream_.get()), "upload of a graph");
  return graph;
}

void CudaModel::run_graph(const StepInput& input) {
  Graph& graph = graph_for(class_key_);
  wait("the step before");
  auto* staging = graph.staging.as<std::int32_t>();
  (void)pack_step(input, graph.layout, staging);
  current_ = {};
  current_.logit_rows = static_cast<std::int64_t>(input.logit_rows.size());
  check(cudaMemcpyAsync(graph.input.as<void>(), staging, graph.layout.size() * sizeof(std::int32_t), cudaMemcpyHostToDevice,
                        stream_.get()),
        "copy of a step");
  timer_.begin();
  check(cudaGraphLaunch(graph.executable, stream_.get()), "launch of a graph");
  timer_.end_graph();
}

}  // namespace lindos::exec::cuda
