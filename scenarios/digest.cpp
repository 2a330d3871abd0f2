// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <string>
#include <string_view>

#include <xxhash.h>

#include "scenarios/scenario.h"

namespace lindos {

std::string digest_of_text(std::string_view canonical) {
  // The canonical (big-endian) form makes the digits equal on machines of either byte order.
  XXH128_canonical_t bytes;
  XXH128_canonicalFromHash(&bytes, XXH3_128bits(canonical.data(), canonical.size()));
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * sizeof bytes.digest);
  for (const unsigned char byte : bytes.digest) {
    hex += kDigits[byte >> 4U];
    hex += kDigits[byte & 0xFU];
  }
  return hex;
}

}  // namespace lindos
