// SPDX-License-Identifier: Apache-2.0
#include "exec/tokenizer/bpe.h"

#include <algorithm>
#include <limits>
#include <queue>
#include <utility>

#include <fmt/format.h>

#include "exec/tokenizer/unicode.h"
#include "scenarios/error.h"

namespace lindos::exec {
namespace {

constexpr std::size_t kCachedPieces = 8192;
constexpr std::size_t kCachedPieceBytes = 128;  // longer pieces hardly repeat
constexpr std::int32_t kNone = -1;

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32U |
         static_cast<std::uint32_t>(right);
}

void refuse_text(const Component& component, std::string_view key) {
  const nlohmann::json* value = component.find(key);
  if (value != nullptr && !(value->is_string() && value->get_ref<const std::string&>().empty())) {
    component.fail(key, "is not supported; expected null");
  }
}

}  // namespace

Bpe::Bpe(const Component& component) {
  // Files from before 2020 carry no type; their models are BPE when they have merges.
  if (component.find("type") != nullptr && component.type() != "BPE") {
    component.fail_unknown("type", component.type(), {"BPE"});
  }
  const nlohmann::json* dropout = component.find("dropout");
  if (dropout != nullptr && !(dropout->is_number() && dropout->get<double>() == 0.0)) {
    component.fail("dropout", "is for training only; expected null");
  }
  refuse_text(component, "continuing_subword_prefix");
  refuse_text(component, "end_of_word_suffix");
  fuse_unknown_ = component.flag_or("fuse_unk", false);
  byte_fallback_ = component.flag_or("byte_fallback", false);
  ignore_merges_ = component.flag_or("ignore_merges", false);
  read_vocabulary(component);
  read_merges(component);
  if (component.find("unk_token") != nullptr) {
    unknown_ = find_id(component.text("unk_token"));
    if (!unknown_) component.fail("unk_token", "is not in the vocabulary");
  }
}

void Bpe::read_vocabulary(const Component& component) {
  const nlohmann::json* vocabulary = component.find("vocab");
  if (vocabulary == nullptr || !vocabulary->is_object()) {
    component.fail("vocab", "expected an object from token to id");
  }
  ids_.reserve(vocabulary->size());
  tokens_.reserve(vocabulary->size());
  for (const auto& [token, value] : vocabulary->items()) {
    constexpr std::uint64_t kLargest = std::numeric_limits<std::int32_t>::max() - 1;
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > kLargest) {
      component.fail("vocab/" + token, fmt::format("expected an id from 0 to {}", kLargest));
    }
    const auto id = value.get<std::int32_t>();
    const auto inserted = ids_.emplace(token, id).first;
    const auto [other, is_first] = tokens_.emplace(id, &inserted->first);
    if (!is_first)
      component.fail("vocab/" + token,
                     fmt::format("id {} belongs to \"{}\" too", id, *other->second));
    largest_id_ = std::max(largest_id_, id);
  }
}

void Bpe::read_merges(const Component& component) {
  const nlohmann::json* merges = component.find("merges");
  if (merges == nullptr || !merges->is_array()) component.fail("merges", "expected a list");
  merges_.reserve(merges->size());
  std::int32_t rank = 0;
  for (std::size_t i = 0; i < merges->size(); ++i) {
    const nlohmann::json& entry = (*merges)[i];
    const std::string place = fmt::format("{}/{}", component.place_of("merges"), i);
    if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string()) {
      add_merge(entry[0].get<std::string>(), entry[1].get<std::string>(), rank++, place);
      continue;
    }
    if (!entry.is_string())
      throw Error(ErrorKind::kInput, place, "expected \"left right\" or [\"left\", \"right\"]");
    const auto text = entry.get<std::string>();
    if (text.starts_with("#version"))
      continue;  // the first line of merges.txt, taken along by old converters
    const std::size_t blank = text.find(' ');
    if (blank == std::string::npos || text.find(' ', blank + 1) != std::string::npos) {
      throw Error(ErrorKind::kInput, place,
                  fmt::format("expected two tokens and one blank, saw \"{}\"", text));
    }
    add_merge(text.substr(0, blank), text.substr(blank + 1), rank++, place);
  }
}

void Bpe::add_merge(const std::string& left, const std::string& right, std::int32_t rank,
                    const std::string& place) {
  const auto id_or_throw = [&](const std::string& token) {
    const std::optional<std::int32_t> id = find_id(token);
    if (!id)
      throw Error(ErrorKind::kInput, place, fmt::format("\"{}\" is not in the vocabulary", token));
    return *id;
  };
  // A pair given twice keeps its last rank, as the reference implementation does.
  // One by one: the order of evaluation, and so which token is named, would be the compiler's choice.
  const std::int32_t left_id = id_or_throw(left);
  const std::int32_t right_id = id_or_throw(right);
  const std::int32_t merged_id = id_or_throw(left + right);
  merges_[pair_key(left_id, right_id)] = {rank, merged_id};
}

std::optional<std::int32_t> Bpe::find_id(std::string_view token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

const std::string* Bpe::find_token(std::int32_t id) const {
  const auto found = tokens_.find(id);
  return found == tokens_.end() ? nullptr : found->second;
}

const Bpe::Merge* Bpe::find_merge(std::int32_t left, std::int32_t right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void Bpe::encode(const std::string& piece, Cache& cache, std::vector<std::int32_t>& ids) const {
  if (ignore_merges_) {
    if (const std::optional<std::int32_t> id = find_id(piece)) {
      ids.push_back(*id);
      return;
    }
  }
  const auto known = cache.known_.find(piece);
  if (known != cache.known_.end()) {
    ids.insert(ids.end(), known->second.begin(), known->second.end());
    return;
  }
  std::vector<std::int32_t> merged = merge(symbols(piece));
  ids.insert(ids.end(), merged.begin(), merged.end());
  if (piece.size() <= kCachedPieceBytes && cache.known_.size() < kCachedPieces) {
    cache.known_.emplace(piece, std::move(merged));
  }
}

std::vector<std::int32_t> Bpe::symbols(std::string_view piece) const {
  std::vector<std::int32_t> found;
  found.reserve(piece.size());
  bool after_unknown = false;
  while (!piece.empty()) {
    const std::string_view character = piece.substr(0, first_character(piece).bytes);
    piece.remove_prefix(character.size());
    const auto id = find_id(character);
    if (id) {
      found.push_back(*id);
      after_unknown = false;
      continue;
    }
    if (byte_fallback_) {
      const std::size_t before = found.size();
      for (const char byte : character) {
        const auto fallback = find_id(fmt::format("<0x{:02X}>", static_cast<unsigned char>(byte)));
        if (!fallback) break;
        found.push_back(*fallback);
      }
      if (found.size() == before + character.size()) {
        after_unknown = false;
        continue;
      }
      found.resize(before);  // all bytes or none
    }
    // Without an unknown token the character is dropped: the reference implementation does so.
    if (unknown_ && !(fuse_unknown_ && after_unknown)) found.push_back(*unknown_);
    after_unknown = true;
  }
  return found;
}

std::vector<std::int32_t> Bpe::merge(const std::vector<std::int32_t>& symbols) const {
  if (symbols.size() < 2) return symbols;
  struct Symbol {
    std::int32_t id;
    std::int32_t previous;
    std::int32_t next;
  };
  struct Candidate {
    std::int32_t rank;
    std::int32_t left;  // position; ties go to the leftmost
    std::int32_t merged;
    bool operator>(const Candidate& other) const {
      return std::pair(rank, left) > std::pair(other.rank, other.left);
    }
  };
  const auto count = static_cast<std::int32_t>(symbols.size());
  std::vector<Symbol> list;
  list.reserve(symbols.size());
  for (std::int32_t i = 0; i < count; ++i) {
    list.push_back({symbols[static_cast<std::size_t>(i)], i - 1, i + 1 < count ? i + 1 : kNone});
  }
  const auto at = [&](std::int32_t position) -> Symbol& {
    return list[static_cast<std::size_t>(position)];
  };
  std::vector<Candidate> storage;
  storage.reserve(symbols.size());
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue({},
                                                                               std::move(storage));
  const auto consider = [&](std::int32_t left) {
    if (left == kNone || at(left).next == kNone) return;
    const Merge* merge = find_merge(at(left).id, at(at(left).next).id);
    if (merge != nullptr) queue.push({merge->rank, left, merge->merged});
  };
  for (std::int32_t i = 0; i + 1 < count; ++i) consider(i);
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Symbol& left = at(best.left);
    if (left.id == kNone || left.next == kNone) continue;  // swallowed by an earlier merge
    Symbol& right = at(left.next);
    const Merge* merge = find_merge(left.id, right.id);
    if (merge == nullptr || merge->merged != best.merged)
      continue;  // a neighbour has changed since
    left.id = best.merged;
    left.next = right.next;
    right.id = kNone;
    if (left.next != kNone) at(left.next).previous = best.left;
    consider(left.previous);
    consider(best.left);
  }
  std::vector<std::int32_t> merged;
  for (std::int32_t i = 0; i != kNone; i = at(i).next) merged.push_back(at(i).id);
  return merged;
}

}  // namespace lindos::exec
