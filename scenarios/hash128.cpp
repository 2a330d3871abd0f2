// SPDX-License-Identifier: Apache-2.0
#include "scenarios/hash128.h"

#include <xxhash.h>

namespace lindos {

Hash128 hash_of_bytes(std::span<const std::byte> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.low64, hash.high64};
}

}  // namespace lindos
