// SPDX-License-Identifier: Apache-2.0
// Byte-pair encoding by ranked merges. A piece of n characters costs O(n log n): a heap of
// candidate merges over a linked list. Immutable after construction, so threads may share it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "exec/tokenizer/component.h"

namespace lindos::exec {

class Bpe {
 public:
  // Results of recent pieces; one per encode call, bounded.
  class Cache {
    friend class Bpe;
    std::unordered_map<std::string, std::vector<std::int32_t>> known_;
  };

  // Reads the "model" object. Throws Error{kInput} for a setting that is not supported.
  explicit Bpe(const Component& component);

  // Appends the ids of one piece (well-formed UTF-8).
  void encode(const std::string& piece, Cache& cache, std::vector<std::int32_t>& ids) const;

  [[nodiscard]] std::optional<std::int32_t> find_id(std::string_view token) const;
  [[nodiscard]] const std::string* find_token(std::int32_t id) const;
  [[nodiscard]] std::int32_t largest_id() const {
    return largest_id_;
  }  // −1 for an empty vocabulary

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  struct Merge {
    std::int32_t rank;
    std::int32_t merged;
  };

  void read_vocabulary(const Component& component);
  void read_merges(const Component& component);
  void add_merge(const std::string& left, const std::string& right, std::int32_t rank,
                 const std::string& place);
  [[nodiscard]] std::vector<std::int32_t> symbols(std::string_view piece) const;
  [[nodiscard]] std::vector<std::int32_t> merge(const std::vector<std::int32_t>& symbols) const;
  [[nodiscard]] const Merge* find_merge(std::int32_t left, std::int32_t right) const;

  std::unordered_map<std::string, std::int32_t, Hash, std::equal_to<>> ids_;
  std::unordered_map<std::int32_t, const std::string*>
      tokens_;                                       // points at the keys of ids_, which never move
  std::unordered_map<std::uint64_t, Merge> merges_;  // (left << 32 | right)
  std::optional<std::int32_t> unknown_;
  std::int32_t largest_id_ = -1;
  bool fuse_unknown_ = false;
  bool byte_fallback_ = false;
  bool ignore_merges_ = false;
};

}  // namespace lindos::exec
