// SPDX-License-Identifier: Apache-2.0
#include "exec/model/rope_table.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "scenarios/error.h"

namespace lindos::exec {

namespace {

std::vector<double> base_frequencies(const Model& model) {
  const std::int64_t half = model.head_dim / 2;
  std::vector<double> f(static_cast<std::size_t>(half));
  for (std::int64_t i = 0; i < half; ++i) {
    f[static_cast<std::size_t>(i)] =
        std::pow(model.rope_theta, -2.0 * static_cast<double>(i) / static_cast<double>(model.head_dim));
  }
  return f;
}

// Llama 3.1: long wavelengths are stretched by `factor`, short ones kept, blended in between.
void scale_llama3(const RopeScaling& rope, std::vector<double>& frequencies) {
  const double old_context = static_cast<double>(rope.original_max_positions);
  for (double& f : frequencies) {
    const double wavelength = 2.0 * std::numbers::pi / f;
    if (wavelength > old_context / rope.low_freq_factor) {
      f /= rope.factor;
    } else if (wavelength >= old_context / rope.high_freq_factor) {
      const double s = (old_context / wavelength - rope.low_freq_factor) /
                       (rope.high_freq_factor - rope.low_freq_factor);
      f = (1.0 - s) * f / rope.factor + s * f;
    }
  }
}

// YaRN (Peng et al., arXiv 2309.00071): ramp between interpolated and kept dimensions.
double scale_yarn(const Model& model, std::vector<double>& frequencies) {
  const RopeScaling& rope = model.rope;
  const double dim = static_cast<double>(model.head_dim);
  const double context = static_cast<double>(rope.original_max_positions > 0
                                                 ? rope.original_max_positions
                                                 : model.max_positions);
  const auto correction = [&](double rotations) {
    return dim * std::log(context / (rotations * 2.0 * std::numbers::pi)) /
           (2.0 * std::log(model.rope_theta));
  };
  double low = correction(rope.beta_fast);
  double high = correction(rope.beta_slow);
  if (rope.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dim - 1.0);
  if (low == high) high += 0.001;
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    const double keep = 1.0 - ramp;
    frequencies[i] = frequencies[i] / rope.factor * (1.0 - keep) + frequencies[i] * keep;
  }
  const auto mscale = [&](double m) {
    return rope.factor <= 1.0 ? 1.0 : 0.1 * m * std::log(rope.factor) + 1.0;
  };
  if (rope.attention_factor > 0.0) return rope.attention_factor;
  if (rope.mscale_all_dim > 0.0) return mscale(rope.mscale) / mscale(rope.mscale_all_dim);
  return mscale(1.0);
}

}  // namespace

RopeTable make_rope_table(const Model& model, std::int64_t positions) {
  std::vector<double> frequencies = base_frequencies(model);
  RopeTable table;
  table.positions = positions;
  table.half = model.head_dim / 2;
  switch (model.rope.kind) {
    case RopeKind::kDefault: break;
    case RopeKind::kLinear:
      for (double& f : frequencies) f /= model.rope.factor;
      break;
    case RopeKind::kDynamic: {
      const std::int64_t trained =
          model.rope.original_max_positions > 0 ? model.rope.original_max_positions : model.max_positions;
      if (positions > trained) {
        throw Error(ErrorKind::kInput, "model " + model.name,
                    "dynamic RoPE scaling beyond the trained context is not supported: " +
                        std::to_string(positions) + " positions asked, " + std::to_string(trained) +
                        " trained");
      }
      break;
    }
    case RopeKind::kLlama3: scale_llama3(model.rope, frequencies); break;
    case RopeKind::kYarn: table.attention_scale = scale_yarn(model, frequencies); break;
  }
  const auto size = static_cast<std::size_t>(positions * table.half);
  table.cos.resize(size);
  table.sin.resize(size);
  for (std::int64_t p = 0; p < positions; ++p) {
    for (std::int64_t i = 0; i < table.half; ++i) {
      // The reference rounds the frequency and the product to f32 before cos and sin; so do we, since at
      // long positions the difference exceeds the tolerance on logits.
      const float angle = static_cast<float>(p) * static_cast<float>(frequencies[static_cast<std::size_t>(i)]);
      const auto at = static_cast<std::size_t>(p * table.half + i);
      table.cos[at] = static_cast<float>(std::cos(static_cast<double>(angle)) * table.attention_scale);
      table.sin[at] = static_cast<float>(std::sin(static_cast<double>(angle)) * table.attention_scale);
    }
  }
  return table;
}

}  // namespace lindos::exec
