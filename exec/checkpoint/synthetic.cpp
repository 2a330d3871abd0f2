// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "exec/checkpoint/checkpoint.h"
#include "exec/checkpoint/float_format.h"
#include "exec/checkpoint/tensor_slice.h"
#include "scenarios/error.h"

namespace lindos::exec {
namespace {

constexpr std::uint64_t kGolden =
    0x9e3779b97f4a7c15U;  // 2^64 / golden ratio, odd: visits every counter once
constexpr double kBiasDeviation = 0.02;

// Finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): each output bit depends on each input
// bit.
constexpr std::uint64_t mix(std::uint64_t z) {
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31U);
}

// FNV-1a, so that a tensor's values depend on its name and not on its place in a list.
constexpr std::uint64_t hash_name(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

// Sum of four independent uniforms on {0 … 65,535}, centred: variance 4 × (65,536² − 1) / 12.
// Integers below 2^18, so the one float multiplication after it rounds once and alike everywhere.
constexpr std::int32_t centred_sum(std::uint64_t bits) {
  const auto sum = static_cast<std::int32_t>((bits & 0xffffU) + ((bits >> 16U) & 0xffffU) +
                                             ((bits >> 32U) & 0xffffU) + (bits >> 48U));
  return sum - 2 * 65535;
}

float deviation_scale(double deviation) {
  constexpr double kVariance = 4.0 * (65536.0 * 65536.0 - 1.0) / 12.0;
  return static_cast<float>(deviation / std::sqrt(kVariance));
}

class Synthetic final : public Checkpoint {
 public:
  Synthetic(const Model& model, std::uint64_t seed, Dtype dtype) : seed_(seed), dtype_(dtype) {
    if (dtype != Dtype::kF32 && dtype != Dtype::kF16 && dtype != Dtype::kBf16) {
      throw Error(ErrorKind::kInput, description(),
                  fmt::format("weights of dtype \"{}\" cannot be made; known: f32, f16, bf16",
                              name_of(dtype)));
    }
    for (TensorInfo& info : expected_tensors(model)) {
      info.dtype = dtype;
      std::string name = info.name;
      tensors_.emplace(std::move(name), std::move(info));
    }
  }

  [[nodiscard]] const TensorInfo* find(std::string_view name) const override {
    const auto found = tensors_.find(std::string(name));
    return found == tensors_.end() ? nullptr : &found->second;
  }

  [[nodiscard]] std::vector<TensorInfo> tensors() const override {
    std::vector<TensorInfo> all;
    all.reserve(tensors_.size());
    for (const auto& [name, info] : tensors_) all.push_back(info);
    return all;
  }

  void read(std::string_view name, std::int64_t row_begin, std::int64_t row_end,
            std::int64_t col_begin, std::int64_t col_end, std::span<float> out) const override {
    const TensorInfo* info = find(name);
    if (info == nullptr)
      throw Error(ErrorKind::kInput, description(), fmt::format("no tensor \"{}\"", name));
    const TensorSlice slice =
        checked_slice(*info, row_begin, row_end, col_begin, col_end, out.size(), description());
    const std::optional<SyntheticRule> rule = synthetic(name);
    if (!rule) {
      std::fill(out.begin(), out.end(), 1.0F);
      return;
    }
    slice.for_each_run([&](std::size_t first, std::size_t count, std::size_t out_offset) {
      fill(rule->key, first, rule->scale, out.subspan(out_offset, count));
    });
  }

  // Norms are 1 and follow none.
  [[nodiscard]] std::optional<SyntheticRule> synthetic(std::string_view name) const override {
    const TensorInfo* info = find(name);
    if (info == nullptr || name.ends_with("norm.weight")) return std::nullopt;
    const std::int64_t row_length = info->shape.back();
    const double deviation =
        name.ends_with(".bias") ? kBiasDeviation : 1.0 / std::sqrt(static_cast<double>(row_length));
    return SyntheticRule{mix(mix(seed_ + kGolden) ^ hash_name(name)), deviation_scale(deviation), row_length};
  }

  [[nodiscard]] std::string description() const override { return fmt::format("random:{}", seed_); }

 private:
  void fill(std::uint64_t key, std::size_t first, float scale, std::span<float> out) const {
    std::uint64_t counter = key + first * kGolden;
    for (float& value : out) {
      value = static_cast<float>(centred_sum(mix(counter))) * scale;
      counter += kGolden;
    }
    round_floats(out, dtype_);
  }

  std::uint64_t seed_;
  Dtype dtype_;
  std::unordered_map<std::string, TensorInfo> tensors_;
};

}  // namespace

std::unique_ptr<Checkpoint> make_synthetic(const Model& model, std::uint64_t seed, Dtype dtype) {
  return std::make_unique<Synthetic>(model, seed, dtype);
}

}  // namespace lindos::exec
