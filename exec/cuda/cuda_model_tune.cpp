// SPDX-License-Identifier: Apache-2.0
// Which products an engine times when it starts.
#include <algorithm>

#include "exec/cuda/cuda_model.h"

namespace lindos::exec::cuda {

namespace kc = kernels::cuda;

std::int64_t most_rows(const EngineLimits& limits) {
  return std::max({limits.max_batched_tokens, graph_bucket(limits.max_sequences), std::int64_t{1}});
}

std::vector<std::int64_t> tuned_rows(const EngineLimits& limits) {
  std::vector<std::int64_t> sizes;
  const std::int64_t most = most_rows(limits);
  for (std::int64_t m = 2 * kc::kSkinnyRows; m <= most; m *= 2) sizes.push_back(m);
  for (const std::int64_t m : {limits.prefill_chunk, limits.max_batched_tokens}) {
    if (m >= 2 * kc::kSkinnyRows && std::find(sizes.begin(), sizes.end(), m) == sizes.end()) sizes.push_back(m);
  }
  return sizes;
}

void CudaModel::tune() {
  const std::vector<std::int64_t> sizes = tuned_rows(limits_);
  const std::int64_t largest_bucket = graph_bucket(limits_.max_sequences);
  if (weights_.layers().empty()) return;
  const DeviceLayer& w = weights_.layers().front();
  const bool alone = !group_;
  // Random operands: on zeros the arithmetic units draw less power and clock higher.
  const auto fill = [this](const DeviceBuffer& buffer) {
    kc::fill_synthetic(element_, buffer.as<Number>(), 1, 1e-5F, 0, 1, static_cast<std::int64_t>(buffer.bytes() / sizeof(Number)), 0,
                       static_cast<std::int64_t>(buffer.bytes() / sizeof(Number)), {stream_.get(), false});
  };
  fill(normed_);
  fill(attention_);
  fill(activated_);
  // Matrices of all layers in turns: the first would be found in L2 by the second run. Layers with experts have others.
  const auto all = [this](DeviceMatrix DeviceLayer::*matrix, const DeviceMatrix& like) {
    std::vector<const void*> data;
    for (const DeviceLayer& layer : weights_.layers()) {
      if ((layer.*matrix).n == like.n && (layer.*matrix).k == like.k) data.push_back((layer.*matrix).data);
    }
    return data;
  };
  std::vector<const DeviceLayer*> kinds{&w};
  for (const DeviceLayer& layer : weights_.layers()) {
    if (kinds.size() == 1 && layer.experts.has_value() != w.experts.has_value()) kinds.push_back(&layer);
  }
  for (const std::int64_t m : sizes) {
    if (m > static_cast<std::int64_t>(normed_.bytes() / sizeof(Number)) / model_.hidden) continue;
    void* sum = alone ? residual() : group_->partial();
    const auto tune = [&](const DeviceLayer& layer, DeviceMatrix DeviceLayer::*matrix, const DeviceBuffer& x, void* y, bool accumulate) {
      const DeviceMatrix& of_layer = layer.*matrix;
      if (of_layer.n * of_layer.k == 0) return;
      products_.tune(of_layer, all(matrix, of_layer), x.as<Number>(), m, y, false, accumulate, stream_.get());
    };
    tune(w, &DeviceLayer::qkv, normed_, qkv_.as<void>(), false);
    tune(w, &DeviceLayer::o, attention_, sum, alone);
    for (const DeviceLayer* layer : kinds) {
      tune(*layer, &DeviceLayer::gate_up, normed_, gate_up_.as<void>(), false);
      // Shared experts add to what the routed ones left.
      tune(*layer, &DeviceLayer::down, activated_, sum, alone || layer->experts.has_value());
      if (layer->experts) moe_.tune(*layer->experts, normed_.as<Number>(), m, products_, stream_.get());
    }
    if (last_stage_ && m <= largest_bucket) {
      products_.tune(weights_.lm_head(), {}, normed_.as<Number>(), m, logits_.as<void>(), true, false, stream_.get());
    }
  }
  check(cudaMemsetAsync(residual(), 0, static_cast<std::size_t>(most_rows(limits_) * model_.hidden) * sizeof(Number), stream_.get()),
        "clearing the residual stream");
  wait("tuning");
}

}  // namespace lindos::exec::cuda
