// SPDX-License-Identifier: Apache-2.0
// Which algorithm of a GPU's product library was the fastest for a shape, as an engine timed it. Plain values; the algorithm
// is opaque, and means something to the same version of the library only.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>

#include "scenarios/dtype.h"

namespace lindos {

// Y[m, n] = X[m, k] · Wᵀ.
struct ProductShape {
  std::int64_t m = 0, n = 0, k = 0;
  bool logits = false;      // Y in f32, else in 16 bits: of operands in fp8 in bf16
  bool accumulate = false;  // added to Y
  Dtype dtype = Dtype::kBf16;  // of the operands: bf16, f16 or fp8 (E4M3)
  auto operator<=>(const ProductShape&) const = default;
};

using ProductAlgorithm = std::array<std::uint64_t, 8>;

// Where a timing holds.
struct ProductPlace {
  std::string device;    // "NVIDIA H200"
  int multiprocessors = 0;  // that the rank uses
  std::string library;   // "cuBLASLt 130100"
  auto operator<=>(const ProductPlace&) const = default;
};

struct TunedProduct {
  ProductPlace place;
  ProductShape shape;
  ProductAlgorithm algorithm{};
  bool operator==(const TunedProduct&) const = default;
};

}  // namespace lindos
