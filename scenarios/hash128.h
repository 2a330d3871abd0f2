// SPDX-License-Identifier: Apache-2.0
// 128-bit xxHash (XXH3) of bytes. Against accidents, not against an adversary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace lindos {

struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  bool operator==(const Hash128&) const = default;
};

[[nodiscard]] Hash128 hash_of_bytes(std::span<const std::byte> bytes);

}  // namespace lindos
