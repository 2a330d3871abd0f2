// SPDX-License-Identifier: Apache-2.0
#include "exec/cuda/moe_block.h"

#include <algorithm>

#include "kernels/cuda/elementwise.h"
#include "kernels/cuda/quantise.h"
#include "scenarios/shard_shape.h"

namespace lindos::exec::cuda {

namespace {

namespace kc = kernels::cuda;

template <class T>
DeviceBuffer array_of(std::int64_t elements) {
  return DeviceBuffer(static_cast<std::size_t>(elements) * sizeof(T));
}

}  // namespace

MoeBlock::MoeBlock(const Model& model, const GroupPlan& group, const StagePlan& stage, const TensorShare& share, std::int64_t rows)
    : element_(element_of(group)),
      moe_(model.moe),
      hidden_(model.hidden),
      eps_(static_cast<float>(model.rms_eps)),
      held_(share.experts),
      columns_(expert_columns(model, stage, share).size()) {
  // A rank without columns of its experts has nothing to do for them.
  if (columns_ == 0) held_ = {0, 0};
  const std::int64_t pairs = rows * moe_.top_k;
  const std::int64_t slots = rows * std::min<std::int64_t>(moe_.top_k, held_.size());
  const std::int64_t hits = std::min<std::int64_t>(kc::kFewTokens * moe_.top_k, held_.size());
  logits_ = array_of<float>(rows * moe_.experts);
  activated_ = array_of<Number>(std::max(slots, hits * kc::kFewTokens) * columns_);
  products_ = array_of<Number>(slots * hidden_);
  if (group.weight_dtype == Dtype::kFp8) {
    quantised_x_ = array_of<std::uint8_t>(rows * hidden_);
    x_scales_ = array_of<float>(rows);
    quantised_ = array_of<std::uint8_t>(slots * columns_);
    scales_ = array_of<float>(slots);
  }
  ticket_ = array_of<unsigned>(1);
  hits_ = array_of<kc::MoeHits>(1);
  // Eight are read at once.
  expert_ = array_of<std::uint16_t>((pairs + 7) / 8 * 8);
  weight_ = array_of<float>(pairs);
  slot_ = array_of<int>(pairs);
  offset_ = array_of<int>(held_.size() + 1);
  token_ = array_of<int>(slots);
  slot_weight_ = array_of<float>(slots);
}

std::size_t MoeBlock::scratch_bytes() const {
  std::size_t bytes = 0;
  for (const DeviceBuffer* buffer : {&logits_, &activated_, &products_, &quantised_x_, &x_scales_, &quantised_, &scales_, &ticket_, &hits_, &expert_, &weight_, &slot_, &offset_, &token_,
                                     &slot_weight_}) {
    bytes += buffer->bytes();
  }
  return bytes;
}

bool MoeBlock::is_few(std::int64_t rows) const {
  return rows <= kc::kFewTokens && kc::moe_few_fits(static_cast<int>(rows), static_cast<int>(hidden_));
}

kc::MoeGate MoeBlock::gate(const MoeStep& step) const {
  return {static_cast<int>(step.rows), moe_.experts, moe_.top_k, moe_.normalise_top_k, static_cast<int>(held_.begin),
          static_cast<int>(held_.size()), step.position};
}

kc::MoeExperts MoeBlock::experts(const DeviceExperts& w) const {
  return {w.gate_up.data, w.down.data, static_cast<int>(hidden_), static_cast<int>(columns_), w.gate_up.scales, w.down.scales};
}

kc::MoeGroups MoeBlock::groups() const {
  return {expert_.as<std::uint16_t>(), weight_.as<float>(), slot_.as<int>(), offset_.as<int>(), token_.as<int>(), slot_weight_.as<float>()};
}

kc::MoeTiles MoeBlock::tiles(const DeviceExperts& w, const MoeStep& step) const {
  kc::MoeTiles tiles;
  tiles.element = element_;
  tiles.gate = gate(step);
  tiles.experts = experts(w);
  tiles.groups = groups();
  if (w.gate_up.fp8()) {
    tiles.x = quantised_x_.as<void>();
    tiles.x_scales = x_scales_.as<float>();
    tiles.quantised = quantised_.as<std::uint8_t>();
    tiles.quantised_scales = scales_.as<float>();
  } else {
    tiles.x = step.normed;
  }
  tiles.activated = activated_.as<Number>();
  tiles.products = products_.as<Number>();
  return tiles;
}

kc::MoeFew MoeBlock::few(const DeviceExperts& w, const MoeStep& step) const {
  kc::MoeFew few;
  few.element = element_;
  few.gate = gate(step);
  few.experts = experts(w);
  few.hits = hits_.as<kc::MoeHits>();
  few.x = step.normed;
  few.activated = activated_.as<Number>();
  return few;
}

void MoeBlock::quantise(const Number* x, std::int64_t rows, std::int64_t k, const int* count, const DeviceBuffer& y,
                        const DeviceBuffer& scales, const kc::Launch& launch) {
  kc::QuantiseRows q;
  q.x = x;
  q.rows = rows;
  q.k = k;
  q.y = y.as<std::uint8_t>();
  q.scales = scales.as<float>();
  q.count = count;
  kc::quantise_rows(q, launch);
}

void MoeBlock::choose(const DeviceExperts& w, const MoeStep& step, Products& products) {
  if (is_few(step.rows)) {
    kc::MoeRouteFew route;
    route.element = element_;
    route.gate = gate(step);
    route.x = step.x;
    route.norm = step.norm;
    route.eps = eps_;
    route.hidden = static_cast<int>(hidden_);
    route.router = w.router.numbers();
    route.normed = step.normed;
    route.logits = logits_.as<float>();
    route.ticket = ticket_.as<unsigned>();
    route.hits = hits_.as<kc::MoeHits>();
    kc::moe_route_few(route, step.launch);
    step.mark(OpFamily::kRoute);
    return;
  }
  if (!step.is_normed) {
    kc::rmsnorm(element_, step.x, nullptr, step.norm, eps_, step.rows, hidden_, step.normed, step.launch);
    step.mark(OpFamily::kElementwise);
  }
  products.multiply(w.router, {step.normed, nullptr}, step.rows, logits_.as<void>(), true, false, step.launch.stream);
  kc::moe_choose(gate(step), logits_.as<float>(), groups(), step.launch);
  kc::moe_group(gate(step), groups(), step.launch);
  step.mark(OpFamily::kRoute);
}

void MoeBlock::activate(const DeviceExperts& w, const MoeStep& step) {
  if (is_few(step.rows)) {
    kc::moe_few_gate_up(few(w, step), step.launch);
  } else {
    if (w.gate_up.fp8()) quantise(step.normed, step.rows, hidden_, nullptr, quantised_x_, x_scales_, step.launch);
    kc::moe_tiles_gate_up(tiles(w, step), step.launch);
    // As many rows as there are pairs of held experts, which only the device knows.
    if (w.gate_up.fp8()) {
      const std::int64_t slots = step.rows * std::min<std::int64_t>(moe_.top_k, held_.size());
      quantise(activated_.as<Number>(), slots, columns_, offset_.as<int>() + held_.size(), quantised_, scales_, step.launch);
    }
  }
  step.mark(OpFamily::kGateUp);
}

void MoeBlock::sum(const DeviceExperts& w, const MoeStep& step, Number* y, bool accumulate) {
  if (is_few(step.rows)) {
    kc::MoeFew product = few(w, step);
    product.y = y;
    product.accumulate = accumulate;
    kc::moe_few_down(product, step.launch);
  } else {
    kc::MoeTiles product = tiles(w, step);
    product.y = y;
    product.accumulate = accumulate;
    kc::moe_tiles_down(product, step.launch);
    kc::moe_combine(product, step.launch);
  }
  step.mark(OpFamily::kDown);
}

void MoeBlock::tune(const DeviceExperts& w, const Number* normed, std::int64_t rows, Products& products, cudaStream_t stream) {
  if (!is_few(rows)) products.tune(w.router, {}, normed, rows, logits_.as<void>(), true, false, stream);
}

}  // namespace lindos::exec::cuda
