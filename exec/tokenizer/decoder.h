// SPDX-License-Identifier: Apache-2.0
// Tokens → bytes of text: ByteLevel, ByteFallback, Fuse, Strip, Replace, Metaspace, Sequence.
// Immutable after construction.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "exec/tokenizer/component.h"

namespace lindos::exec {

class Decoder {
 public:
  Decoder() = default;  // tokens with blanks between them
  explicit Decoder(const Component& component);

  // With `keep_bytes`, byte tokens that form no UTF-8 stay as they are (a stream may yet complete
  // them); without, ByteFallback puts one U+FFFD for each byte of such a run.
  [[nodiscard]] std::string decode(std::vector<std::string> tokens, bool keep_bytes) const;

 private:
  using Step = std::function<void(std::vector<std::string>&, bool keep_bytes)>;
  void add(const Component& component);
  void add_strip(const Component& component);

  std::vector<Step> steps_;
  bool joins_with_blank_ = true;
};

}  // namespace lindos::exec
