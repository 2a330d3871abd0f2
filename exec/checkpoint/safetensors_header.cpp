// SPDX-License-Identifier: Apache-2.0
// safetensors: u64 little-endian header length, JSON header, data. Data offsets count from the end
// of the header. Every check happens before any data is touched, so a reader may trust the entries.
#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <unordered_set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "exec/checkpoint/checkpoint.h"
#include "scenarios/error.h"

namespace lindos::exec {
namespace {

constexpr std::uint64_t kLengthField = 8;
constexpr std::uint64_t kMaxHeader = 100'000'000;  // the format's own limit

struct StoredType {
  std::string_view name;
  std::uint64_t bits;
};

constexpr std::array<StoredType, 20> kStoredTypes{{
    {"F32", 32}, {"BF16", 16},   {"F16", 16},    {"BOOL", 8},    {"U8", 8},
    {"I8", 8},   {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"I16", 16},
    {"U16", 16}, {"I32", 32},    {"U32", 32},    {"F64", 64},    {"I64", 64},
    {"U64", 64}, {"C64", 64},    {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4},
}};

const StoredType* find_stored_type(std::string_view name) {
  const auto* found = std::find_if(kStoredTypes.begin(), kStoredTypes.end(),
                                   [&](const StoredType& type) { return type.name == name; });
  return found == kStoredTypes.end() ? nullptr : found;
}

// Multiplies; nullopt when the product does not fit.
std::optional<std::uint64_t> product(std::uint64_t a, std::uint64_t b) {
  if (a != 0 && b > std::numeric_limits<std::uint64_t>::max() / a) return std::nullopt;
  return a * b;
}

// Reads {"name": {"dtype", "shape", "data_offsets"}, …, "__metadata__": {text: text}} event by
// event: the DOM would keep only the last of two tensors with one name.
class HeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(const std::string& where) : where_(where) {}

  // Offsets of the result count from the start of the data section.
  std::vector<SafetensorsEntry> take() { return std::move(entries_); }

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool number_float(number_float_t, const string_t& text) override { return unexpected(text); }
  bool binary(binary_t&) override { return unexpected("binary data"); }
  bool number_integer(number_integer_t value) override { return unexpected(std::to_string(value)); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ == Place::kShape) {
      if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        return unexpected(std::to_string(value));
      }
      entry_.info.shape.push_back(static_cast<std::int64_t>(value));
      return true;
    }
    if (place_ == Place::kOffsets && offsets_ < 2) {
      (offsets_++ == 0 ? entry_.begin : entry_.end) = value;
      return true;
    }
    return unexpected(std::to_string(value));
  }

  bool string(string_t& value) override {
    if (place_ == Place::kMetadata) return true;
    if (place_ != Place::kTensor || field_ != "dtype") return unexpected('"' + value + '"');
    type_ = find_stored_type(value);
    if (type_ == nullptr) {
      std::string known;
      for (const StoredType& type : kStoredTypes)
        known += (known.empty() ? "" : ", ") + std::string(type.name);
      fail("unknown type \"" + value + "\"; known: " + known);
    }
    return true;
  }

  bool start_object(std::size_t) override {
    if (place_ == Place::kOutside) {
      place_ = Place::kTop;
    } else if (place_ == Place::kTop) {
      place_ = name_ == "__metadata__" ? Place::kMetadata : Place::kTensor;
      entry_ = {};
      entry_.info.name = name_;
      type_ = nullptr;
      fields_.clear();
      field_.clear();
    } else {
      return unexpected("an object");
    }
    return true;
  }

  bool key(string_t& value) override {
    if (place_ == Place::kTop) {
      name_ = value;
      field_.clear();
      if (!names_.insert(value).second) fail("the name occurs twice");
      return true;
    }
    field_ = value;
    if (place_ == Place::kTensor && value != "dtype" && value != "shape" &&
        value != "data_offsets") {
      fail("unknown key; known: dtype, shape, data_offsets");
    }
    if (!fields_.insert(value).second) fail("the key occurs twice");
    return true;
  }

  bool end_object() override {
    if (place_ == Place::kTensor) {
      field_.clear();
      for (const char* required : {"dtype", "shape", "data_offsets"}) {
        if (!fields_.contains(required)) fail(fmt::format("has no \"{}\"", required));
      }
      finish_tensor();
    }
    place_ = place_ == Place::kTop ? Place::kOutside : Place::kTop;
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ == Place::kTensor && field_ == "shape") {
      place_ = Place::kShape;
    } else if (place_ == Place::kTensor && field_ == "data_offsets") {
      place_ = Place::kOffsets;
      offsets_ = 0;
    } else {
      return unexpected("an array");
    }
    return true;
  }

  bool end_array() override {
    if (place_ == Place::kOffsets && offsets_ != 2) fail("expected two offsets [begin, end]");
    place_ = Place::kTensor;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    const std::string_view text = error.what();
    const std::size_t colon = text.find(": ");
    throw Error(ErrorKind::kInput, where_,
                fmt::format("header is not JSON at byte {}: {}", position,
                            colon == std::string_view::npos ? text : text.substr(colon + 2)));
  }

 private:
  enum class Place { kOutside, kTop, kMetadata, kTensor, kShape, kOffsets };

  [[noreturn]] void fail(const std::string& message) const {
    constexpr std::size_t kShownName = 200;  // a hostile name must not fill the screen
    std::string pointer =
        name_.empty() && field_.empty() ? "header" : "/" + name_.substr(0, kShownName);
    if (!field_.empty()) pointer += "/" + field_.substr(0, kShownName);
    throw Error(ErrorKind::kInput, where_ + ": " + pointer, message);
  }

  bool unexpected(const std::string& saw) const {
    constexpr std::array<const char*, 6> kExpected{
        "an object",
        "an object per tensor",
        "text",
        "\"dtype\" as text, \"shape\" and \"data_offsets\" as arrays",
        "non-negative integers",
        "two non-negative integers"};
    fail(fmt::format("expected {}, saw {}", kExpected.at(static_cast<std::size_t>(place_)),
                     saw.substr(0, 80)));
  }

  void finish_tensor() {
    if (entry_.begin > entry_.end) {
      fail(fmt::format("data_offsets [{}, {}] run backwards", entry_.begin, entry_.end));
    }
    std::optional<std::uint64_t> bits = type_->bits;
    for (const std::int64_t extent : entry_.info.shape) {
      if (bits) bits = product(*bits, static_cast<std::uint64_t>(extent));
    }
    const std::string shape =
        fmt::format("{} [{}]", type_->name, fmt::join(entry_.info.shape, ", "));
    if (!bits) fail(shape + " has more bits than a 64-bit number can count");
    if (*bits % 8 != 0) fail(shape + " does not fill whole bytes");
    if (*bits / 8 != entry_.end - entry_.begin) {
      fail(fmt::format("{} needs {} bytes, but data_offsets [{}, {}] hold {}", shape, *bits / 8,
                       entry_.begin, entry_.end, entry_.end - entry_.begin));
    }
    if (type_->name == "F32") {
      entry_.info.dtype = Dtype::kF32;
    } else if (type_->name == "F16") {
      entry_.info.dtype = Dtype::kF16;
    } else if (type_->name == "BF16") {
      entry_.info.dtype = Dtype::kBf16;
    } else {
      entry_.info.foreign_dtype = type_->name;
    }
    entries_.push_back(std::move(entry_));
  }

  const std::string& where_;
  Place place_ = Place::kOutside;
  std::string name_;   // tensor being read
  std::string field_;  // its key being read
  const StoredType* type_ = nullptr;
  int offsets_ = 0;  // read so far
  SafetensorsEntry entry_;
  std::unordered_set<std::string> names_;
  std::unordered_set<std::string> fields_;
  std::vector<SafetensorsEntry> entries_;
};

// Sorted by offset, the tensors must tile the data section: no overlap, no hole, nothing left over.
void check_tiling(const std::vector<SafetensorsEntry>& entries, std::uint64_t data_size,
                  const std::string& where) {
  std::uint64_t position = 0;
  const SafetensorsEntry* previous = nullptr;
  for (const SafetensorsEntry& entry : entries) {
    const auto fail = [&](const std::string& message) {
      throw Error(ErrorKind::kInput, where + ": /" + entry.info.name.substr(0, 200), message);
    };
    if (entry.end > data_size) {
      fail(fmt::format(
          "ends at byte {} of the data, but the file holds {}: it is truncated or its header lies",
          entry.end, data_size));
    }
    if (entry.begin < position) {
      fail(fmt::format("begins at byte {} of the data, inside \"{}\"", entry.begin,
                       previous->info.name));
    }
    if (entry.begin > position) {
      fail(fmt::format("begins at byte {} of the data; bytes {} to {} belong to no tensor",
                       entry.begin, position, entry.begin));
    }
    position = entry.end;
    previous = &entry;
  }
  if (position != data_size) {
    throw Error(ErrorKind::kInput, where,
                fmt::format("the tensors end at byte {} of the data, but the file holds {}",
                            position, data_size));
  }
}

}  // namespace

std::vector<SafetensorsEntry> parse_safetensors_header(std::span<const std::byte> prefix,
                                                       std::uint64_t file_size,
                                                       const std::string& where) {
  if (file_size < kLengthField || prefix.size() < kLengthField) {
    throw Error(ErrorKind::kInput, where,
                fmt::format("has {} bytes; a safetensors file begins with an 8-byte header length",
                            file_size));
  }
  std::uint64_t length = 0;
  std::memcpy(&length, prefix.data(), sizeof length);
  if (length > file_size - kLengthField) {
    throw Error(
        ErrorKind::kInput, where,
        fmt::format(
            "header says {} bytes, but only {} follow its length: the file is truncated or is not "
            "safetensors",
            length, file_size - kLengthField));
  }
  if (length > kMaxHeader) {
    throw Error(ErrorKind::kInput, where,
                fmt::format("header says {} bytes; the limit is {}", length, kMaxHeader));
  }
  if (length > prefix.size() - kLengthField) {
    throw Error(ErrorKind::kInput, where,
                fmt::format("header says {} bytes, but only {} were handed in", length,
                            prefix.size() - kLengthField));
  }
  const auto* text = reinterpret_cast<const char*>(prefix.data()) + kLengthField;
  if (length == 0 || text[0] != '{') {
    throw Error(ErrorKind::kInput, where,
                "header does not begin with '{': the file is not safetensors");
  }
  HeaderReader reader(where);
  nlohmann::json::sax_parse(text, text + length, &reader);
  std::vector<SafetensorsEntry> entries = reader.take();
  std::sort(entries.begin(), entries.end(),
            [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
              return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
            });
  const std::uint64_t data_start = kLengthField + length;
  check_tiling(entries, file_size - data_start, where);
  for (SafetensorsEntry& entry : entries) {
    entry.begin += data_start;
    entry.end += data_start;
  }
  return entries;
}

}  // namespace lindos::exec
