// SPDX-License-Identifier: Apache-2.0
// Cuts normalised text into the pieces within which BPE merges: Split, ByteLevel, Digits,
// Metaspace, Sequence. Immutable after construction.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "exec/tokenizer/component.h"

namespace lindos::exec {

struct Piece {
  std::string text;
  bool opens_input = false;  // begins where the whole input begins: Metaspace's "first" asks for it
};

class Pretokenizer {
 public:
  Pretokenizer() = default;  // one piece: the text itself
  explicit Pretokenizer(const Component& component);

  // Pieces in order, none empty.
  [[nodiscard]] std::vector<Piece> cut(Piece text) const;

 private:
  using Step = std::function<void(Piece& piece, std::vector<Piece>& out)>;  // uses the piece up
  void add(const Component& component);
  void add_split(const Component& component);
  void add_byte_level(const Component& component);
  void add_digits(const Component& component);
  void add_metaspace(const Component& component);

  std::vector<Step> steps_;
};

// How Metaspace marks the beginning of a word; the decoder of that name must know it too.
enum class PrependScheme { kFirst, kNever, kAlways };
struct Metaspace {
  std::string replacement;  // one character, "▁"
  PrependScheme scheme = PrependScheme::kAlways;
  bool split = true;
};
[[nodiscard]] Metaspace read_metaspace(const Component& component);

}  // namespace lindos::exec
