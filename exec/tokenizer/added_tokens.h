// SPDX-License-Identifier: Apache-2.0
// Tokens that are cut out of the text before anything else, longest first at the leftmost place:
// special ones
// ("<|endoftext|>") and added words, each with its flags. Immutable after construction.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "exec/tokenizer/bpe.h"
#include "exec/tokenizer/component.h"
#include "exec/tokenizer/normalizer.h"

namespace lindos::exec {

struct AddedToken {
  std::string content;
  std::int32_t id = 0;
  bool single_word = false;  // only between characters that are not part of a word
  bool lstrip = false;       // takes the blanks before it
  bool rstrip = false;       // takes the blanks after it
  bool normalized = false;   // is looked for in the normalised text, in its normalised form
  bool special = false;      // left out by decode(…, skip_special_tokens)
};

class AddedTokens {
 public:
  struct Segment {
    std::size_t begin = 0;
    std::size_t end = 0;
    const AddedToken* token = nullptr;  // null: ordinary text
  };

  AddedTokens() = default;
  // Throws Error{kInput} when an id contradicts the vocabulary.
  AddedTokens(const std::vector<Component>& components, const Bpe& bpe,
              const Normalizer& normalizer);

  [[nodiscard]] std::vector<Segment> split_raw(std::string_view text) const {
    return split(text, raw_);
  }
  [[nodiscard]] std::vector<Segment> split_normalised(std::string_view text) const {
    return split(text, normalised_);
  }
  [[nodiscard]] const AddedToken* find(std::int32_t id) const;
  [[nodiscard]] std::int32_t largest_id() const;  // −1 if there is none

 private:
  // A byte trie over the tokens of one kind.
  struct Trie {
    std::unordered_map<std::uint64_t, std::uint32_t>
        next;  // (node << 8 | byte) → node; the root is 0
    std::unordered_map<std::uint32_t, std::size_t> token_of;  // node → index into tokens_
    std::uint32_t nodes = 1;
    void insert(std::string_view text, std::size_t token);
  };

  [[nodiscard]] std::vector<Segment> split(std::string_view text, const Trie& trie) const;
  [[nodiscard]] static bool stands_alone(std::string_view text, std::size_t begin, std::size_t end);

  std::vector<AddedToken> tokens_;
  std::unordered_map<std::int32_t, std::size_t> by_id_;
  Trie raw_;
  Trie normalised_;
};

}  // namespace lindos::exec
