// SPDX-License-Identifier: Apache-2.0
#include "exec/tokenizer/tokenizer.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "exec/checkpoint/json_file.h"
#include "exec/tokenizer/added_tokens.h"
#include "exec/tokenizer/bpe.h"
#include "exec/tokenizer/component.h"
#include "exec/tokenizer/decoder.h"
#include "exec/tokenizer/normalizer.h"
#include "exec/tokenizer/post_processor.h"
#include "exec/tokenizer/pretokenizer.h"
#include "exec/tokenizer/unicode.h"
#include "scenarios/error.h"

namespace lindos::exec {
namespace {

constexpr std::size_t kMaxFile = 256U
                                 << 20U;  // the largest published tokenizer.json has about 40 MB
constexpr std::size_t kMaxText = 256U << 20U;  // keeps positions within 32 bits

template <typename Part>
Part read_part(const Component& root, std::string_view key) {
  return root.find(key) == nullptr ? Part() : Part(root.child(key));
}

// text ─added tokens─▶ segments ─normalizer─▶ ─added tokens─▶ ─pre-tokenizer─▶ pieces ─BPE─▶ ids
// ─post-processor─▶
class BpeTokenizer final : public Tokenizer {
 public:
  explicit BpeTokenizer(const Component& root)
      : normalizer_(read_part<Normalizer>(root, "normalizer")),
        pretokenizer_(read_part<Pretokenizer>(root, "pre_tokenizer")),
        bpe_(root.child("model")),
        post_processor_(read_part<PostProcessor>(root, "post_processor")),
        decoder_(read_part<Decoder>(root, "decoder")) {
    if (root.find("added_tokens") != nullptr) {
      added_ = AddedTokens(root.children("added_tokens"), bpe_, normalizer_);
    }
  }

  [[nodiscard]] std::vector<std::int32_t> encode(std::string_view text,
                                                 bool add_special_tokens) const override {
    if (text.size() > kMaxText) {
      throw Error(ErrorKind::kInput, "text",
                  fmt::format("has {} bytes; the limit is {}", text.size(), kMaxText));
    }
    if (const auto invalid = find_invalid_utf8(text)) {
      throw Error(ErrorKind::kInput, "text", fmt::format("is not UTF-8 at byte {}", *invalid));
    }
    std::vector<std::int32_t> ids;
    Bpe::Cache cache;
    for (const AddedTokens::Segment& segment : added_.split_raw(text)) {
      if (segment.token != nullptr) {
        ids.push_back(segment.token->id);
      } else {
        encode_segment(text.substr(segment.begin, segment.end - segment.begin), segment.begin == 0,
                       cache, ids);
      }
    }
    return add_special_tokens ? post_processor_.surround(std::move(ids)) : ids;
  }

  [[nodiscard]] std::string decode(const std::vector<std::int32_t>& ids,
                                   bool skip_special_tokens) const override {
    return replace_invalid_utf8(decoder_.decode(tokens_of(ids, skip_special_tokens), false));
  }

  [[nodiscard]] std::string decode_bytes(const std::vector<std::int32_t>& ids,
                                         bool skip_special_tokens) const override {
    return decoder_.decode(tokens_of(ids, skip_special_tokens), true);
  }

  [[nodiscard]] std::int64_t vocab_size() const override {
    return std::int64_t{std::max(bpe_.largest_id(), added_.largest_id())} + 1;
  }

 private:
  void encode_segment(std::string_view segment, bool opens_input, Bpe::Cache& cache,
                      std::vector<std::int32_t>& ids) const {
    const std::string normalised = normalizer_.apply(std::string(segment));
    for (const AddedTokens::Segment& part : added_.split_normalised(normalised)) {
      if (part.token != nullptr) {
        ids.push_back(part.token->id);
        continue;
      }
      Piece text{normalised.substr(part.begin, part.end - part.begin),
                 opens_input && part.begin == 0};
      for (const Piece& piece : pretokenizer_.cut(std::move(text)))
        bpe_.encode(piece.text, cache, ids);
    }
  }

  [[nodiscard]] std::vector<std::string> tokens_of(const std::vector<std::int32_t>& ids,
                                                   bool skip_special_tokens) const {
    std::vector<std::string> tokens;
    tokens.reserve(ids.size());
    for (const std::int32_t id : ids) {
      if (const AddedToken* added = added_.find(id)) {
        if (!(skip_special_tokens && added->special)) tokens.push_back(added->content);
      } else if (const std::string* token = bpe_.find_token(id)) {
        tokens.push_back(*token);
      }
    }
    return tokens;
  }

  Normalizer normalizer_;
  Pretokenizer pretokenizer_;
  Bpe bpe_;
  AddedTokens added_;
  PostProcessor post_processor_;
  Decoder decoder_;
};

}  // namespace

std::unique_ptr<Tokenizer> parse_tokenizer(std::string_view json, const std::string& where) {
  const nlohmann::json document = parse_json_strictly(json, where);
  const Component root(document, where + ": ");
  // "truncation" and "padding" are wishes of the last training script, not part of the vocabulary:
  // not read.
  if (root.find("version") != nullptr && root.text("version") != "1.0") {
    root.fail("version", fmt::format("expected \"1.0\", saw \"{}\"", root.text("version")));
  }
  return std::make_unique<BpeTokenizer>(root);
}

std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& file) {
  return parse_tokenizer(read_text_file(file, kMaxFile), file.string());
}

std::string StreamDecoder::push(std::int32_t id) {
  ids_.push_back(id);
  const std::string bytes = tokenizer_->decode_bytes(ids_, true);
  const std::size_t held = incomplete_tail(bytes);
  const std::size_t stable = bytes.size() - held;
  std::string text;
  if (stable > emitted_) {
    text = replace_invalid_utf8(std::string_view(bytes).substr(emitted_, stable - emitted_));
    emitted_ = stable;
  }
  // Decoders look back no further than "is this the first token?": once nothing is held, one
  // visible token keeps that answer right and the work per token constant.
  if (held == 0 && ids_.size() > 1) {
    const std::size_t tail = tokenizer_->decode_bytes({id}, true).size();
    if (tail > 0) {
      ids_ = {id};
      emitted_ = tail;
    }
  }
  return text;
}

std::string StreamDecoder::finish() {
  const std::string bytes = tokenizer_->decode_bytes(ids_, true);
  const std::string rest = emitted_ < bytes.size()
                               ? replace_invalid_utf8(std::string_view(bytes).substr(emitted_))
                               : std::string();
  ids_.clear();
  emitted_ = 0;
  return rest;
}

}  // namespace lindos::exec
