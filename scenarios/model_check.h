// SPDX-License-Identifier: Apache-2.0
// What no transformer's shape can be, whatever file it came from. Bounds are an order of magnitude beyond
// published models, so that products of shapes stay exact in 64-bit integers and doubles.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "scenarios/model.h"

namespace lindos {

inline constexpr std::int64_t kWidest = 1 << 20;             // hidden, FFN
inline constexpr std::int64_t kMostLayers = 2048;
inline constexpr std::int64_t kMostHeads = 4096;
inline constexpr std::int64_t kWidestHead = 16384;           // head and latent dimensions
inline constexpr std::int64_t kLargestVocabulary = 1 << 24;
inline constexpr std::int64_t kMostPositions = 1 << 28;
inline constexpr std::int64_t kMostExperts = 8192;

// The first thing that does not fit together ("kv_heads: 3 do not divide q_heads 8"), if any.
// REQUIRES: every field within the bounds above.
[[nodiscard]] std::optional<std::string> complaint_about(const Model& model);

}  // namespace lindos
