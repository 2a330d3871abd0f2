// SPDX-License-Identifier: Apache-2.0
// Numbers of 32 bits in blobs, little-endian on every machine. Internal to data/store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace lindos::data {

inline void append_word(std::string& bytes, std::uint32_t word) {
  for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(word >> shift & 0xFF);
}

// REQUIRES: four bytes from `offset` on.
inline std::uint32_t word_at(const std::string& bytes, std::size_t offset) {
  std::uint32_t word = 0;
  for (std::size_t i = 0; i < 4; ++i)
    word |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[offset + i])) << (8 * i);
  return word;
}

}  // namespace lindos::data
