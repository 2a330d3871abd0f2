// SPDX-License-Identifier: Apache-2.0
// Special tokens around an encoded text, as TemplateProcessing says for a single sequence.
// ByteLevel in this place only moves character offsets, which Lindos does not keep. Immutable after
// construction.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "exec/tokenizer/component.h"

namespace lindos::exec {

class PostProcessor {
 public:
  PostProcessor() = default;  // adds nothing
  explicit PostProcessor(const Component& component);

  [[nodiscard]] std::vector<std::int32_t> surround(std::vector<std::int32_t> ids) const;

 private:
  void add(const Component& component);
  void add_template(const Component& component);

  std::vector<std::int32_t> before_;
  std::vector<std::int32_t> after_;
  bool has_template_ = false;
};

}  // namespace lindos::exec
