// SPDX-License-Identifier: Apache-2.0
// Text → text before it is cut: NFC, NFD, NFKC, NFKD, Lowercase, Prepend, Replace, Sequence.
// Immutable after construction.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "exec/tokenizer/component.h"
#include "exec/tokenizer/pattern.h"

namespace lindos::exec {

class Normalizer {
 public:
  Normalizer() = default;  // leaves text as it is
  explicit Normalizer(const Component& component);

  // REQUIRES: well-formed UTF-8, which the result is again.
  [[nodiscard]] std::string apply(std::string text) const;

 private:
  void add(const Component& component);

  std::vector<std::function<std::string(std::string)>> steps_;
};

// {"String": "x"} or {"Regex": "x"}; shared by normalizers, pre-tokenizers and decoders.
[[nodiscard]] Pattern read_pattern(const Component& component, std::string_view key);

}  // namespace lindos::exec
