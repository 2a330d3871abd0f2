// SPDX-License-Identifier: Apache-2.0
// Hugging Face tokenizer.json (BPE): text ↔ ids. An unknown component is an error, not a guess.
// Thread-safe for const use.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lindos::exec {

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  // `text` must be UTF-8 (Error{kInput} with the byte offset if not).
  [[nodiscard]] virtual std::vector<std::int32_t> encode(std::string_view text,
                                                         bool add_special_tokens) const = 0;
  [[nodiscard]] virtual std::string decode(const std::vector<std::int32_t>& ids,
                                           bool skip_special_tokens) const = 0;
  // As decode, but bytes that form no UTF-8 stay as they are: appending ids only appends bytes, which a stream
  // needs. Ids outside the vocabulary give no text, here and in decode.
  [[nodiscard]] virtual std::string decode_bytes(const std::vector<std::int32_t>& ids,
                                                 bool skip_special_tokens) const = 0;
  [[nodiscard]] virtual std::int64_t vocab_size() const = 0;   // largest id + 1, added tokens included
};

// Streams text without ever emitting half a UTF-8 character; special tokens are left out. The pieces together are
// decode() of all ids, save that an ill-formed run of byte-fallback tokens gives one U+FFFD per ill-formed part.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer) : tokenizer_(&tokenizer) {}
  [[nodiscard]] std::string push(std::int32_t id);
  [[nodiscard]] std::string finish();

 private:
  const Tokenizer* tokenizer_;
  std::vector<std::int32_t> ids_;
  std::size_t emitted_ = 0;
};

[[nodiscard]] std::unique_ptr<Tokenizer> parse_tokenizer(std::string_view json, const std::string& where);
[[nodiscard]] std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& file);

}  // namespace lindos::exec
