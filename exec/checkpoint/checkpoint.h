// SPDX-License-Identifier: Apache-2.0
// Source of weights by Hugging Face tensor name ("model.layers.0.self_attn.q_proj.weight"): a folder with
// safetensors files, or synthetic values. Readers give out slices, so that a rank touches only its part.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/dtype.h"
#include "scenarios/model.h"

namespace lindos::exec {

struct TensorInfo {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<std::int64_t> shape;
  // Empty for F32, F16 and BF16; otherwise the file's spelling ("I64", "F8_E4M3"). Such a tensor may lie in a
  // checkpoint, but it cannot be read as a weight, and `dtype` says nothing about it.
  std::string foreign_dtype;
};

// How a synthetic tensor's values follow from their place: round(centred_sum(mix(key + i · golden)) · scale), i = row ·
// row_length + column (synthetic.cpp). A device can make them by itself.
struct SyntheticRule {
  std::uint64_t key = 0;
  float scale = 0.0F;
  std::int64_t row_length = 0;
};

class Checkpoint {
 public:
  virtual ~Checkpoint() = default;
  [[nodiscard]] virtual const TensorInfo* find(std::string_view name) const = 0;
  [[nodiscard]] virtual std::vector<TensorInfo> tensors() const = 0;
  // Reads rows [row_begin, row_end) × columns [col_begin, col_end) of a 2-D tensor (1-D: one row) as f32 into
  // out (row-major, tight). Throws Error{kInput} for an unknown name or a range outside the shape.
  virtual void read(std::string_view name, std::int64_t row_begin, std::int64_t row_end,
                    std::int64_t col_begin, std::int64_t col_end, std::span<float> out) const = 0;
  // The rule of a tensor whose values follow one; nullopt: read() is the only way.
  [[nodiscard]] virtual std::optional<SyntheticRule> synthetic(std::string_view /*name*/) const { return std::nullopt; }
  [[nodiscard]] virtual std::string description() const = 0;   // "random:1", folder name
};

// model.safetensors or model.safetensors.index.json in `folder`, memory-mapped: the folder must not shrink
// while it is open. Header checks as docs/formats.md says; thread-safe for const use.
[[nodiscard]] std::unique_ptr<Checkpoint> open_safetensors(const std::filesystem::path& folder);
// Values depend only on (seed, tensor name, element index): normal(0, 1/sqrt(fan_in)), norms 1, biases 0 ± 0.02.
// Normal here is the sum of four 16-bit uniforms (Irwin-Hall, variance corrected, |x| <= 3.46 sigma): one hash per
// value and no libm, hence the same bits everywhere. `dtype` is f32, f16 or bf16.
// Any slice equals the slice of the whole, on every platform. Rounded to `dtype`.
[[nodiscard]] std::unique_ptr<Checkpoint> make_synthetic(const Model& model, std::uint64_t seed,
                                                         Dtype dtype);
// The format in which weights of a plan are read or made: FP8 ones are quantised from bf16 when they are loaded.
[[nodiscard]] constexpr Dtype read_dtype(Dtype weights) { return weights == Dtype::kFp8 ? Dtype::kBf16 : weights; }
// Lists missing, surplus and misshapen tensors together; throws Error{kInput} if there is any missing or
// misshapen one.
void check_tensors(const Checkpoint& checkpoint, const Model& model);

// Names and shapes that a Llama-family model needs, experts included (moe_names.h).
[[nodiscard]] std::vector<TensorInfo> expected_tensors(const Model& model);

// The safetensors header parser: bytes in, entries out in file order (fuzzed). `prefix` holds at least the
// header, `file_size` bounds the offsets. Memory: below 16 x header length. Throws Error{kInput}, opened by `where`.
struct SafetensorsEntry {
  TensorInfo info;
  std::uint64_t begin = 0;     // file offset
  std::uint64_t end = 0;
};
[[nodiscard]] std::vector<SafetensorsEntry> parse_safetensors_header(std::span<const std::byte> prefix,
                                                                     std::uint64_t file_size,
                                                                     const std::string& where);

}  // namespace lindos::exec
