// SPDX-License-Identifier: Apache-2.0
#include "scenarios/trace_lines.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include <zlib.h>

#include "scenarios/error.h"

namespace lindos {

namespace {

constexpr std::size_t kPiece = 64 * 1024;

}  // namespace

// zlib's state and the compressed bytes that it has not yet taken.
class TraceLines::Inflater {
 public:
  Inflater() {
    constexpr int kGzipOnly = 16 + MAX_WBITS;  // zlib.h, inflateInit2
    if (inflateInit2(&stream_, kGzipOnly) != Z_OK) {
      throw Error(ErrorKind::kEnvironment, "", "zlib cannot start");
    }
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  void give(std::vector<char>& packed, std::size_t size) {
    stream_.next_in = reinterpret_cast<Bytef*>(packed.data());
    stream_.avail_in = static_cast<uInt>(size);
  }
  // Wants compressed bytes: none are left, and no finished text waits for room.
  [[nodiscard]] bool hungry() const { return stream_.avail_in == 0 && !text_waits_; }
  // The last member is complete: the stream may end here.
  [[nodiscard]] bool complete() const { return between_members_; }

  // Writes up to `room` bytes of text; nullopt for corrupt data.
  std::optional<std::size_t> inflate_into(char* text, std::size_t room) {
    if (between_members_) {
      inflateReset(&stream_);
      between_members_ = false;
    }
    stream_.next_out = reinterpret_cast<Bytef*>(text);
    stream_.avail_out = static_cast<uInt>(room);
    const int status = inflate(&stream_, Z_NO_FLUSH);
    between_members_ = status == Z_STREAM_END;
    text_waits_ = stream_.avail_out == 0 && !between_members_;
    // Z_BUF_ERROR: no progress without more input.
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) return std::nullopt;
    return room - stream_.avail_out;
  }

 private:
  z_stream stream_{};
  bool between_members_ = false;
  bool text_waits_ = false;
};

TraceLines::TraceLines(std::istream& in, std::string where, std::size_t longest)
    : in_(in), where_(std::move(where)), longest_(longest), packed_(kPiece), text_(kPiece + longest) {
  constexpr unsigned char kMagic[] = {0x1F, 0x8B};  // RFC 1952, 2.3.1
  const std::size_t size = read(packed_);
  if (size >= sizeof kMagic && std::memcmp(packed_.data(), kMagic, sizeof kMagic) == 0) {
    inflater_ = std::make_unique<Inflater>();
    inflater_->give(packed_, size);
  } else {
    std::memcpy(text_.data(), packed_.data(), size);
    end_ = size;
  }
}

TraceLines::~TraceLines() = default;

std::size_t TraceLines::read(std::vector<char>& into) {
  in_.read(into.data(), static_cast<std::streamsize>(kPiece));
  if (in_.bad()) throw Error(ErrorKind::kInput, where_, "cannot be read: disk error");
  return static_cast<std::size_t>(in_.gcount());
}

// Appends more text behind end_; false when there is none.
bool TraceLines::fill() {
  std::memmove(text_.data(), text_.data() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  if (inflater_ == nullptr) {
    const std::size_t size = read(packed_);
    std::memcpy(text_.data() + end_, packed_.data(), size);
    end_ += size;
    return size > 0;
  }
  for (;;) {
    if (inflater_->hungry()) {
      const std::size_t size = read(packed_);
      if (size == 0) {
        if (inflater_->complete()) return false;
        throw Error(ErrorKind::kInput, where_,
                    "the gzip stream is cut short after line " + std::to_string(number_));
      }
      inflater_->give(packed_, size);
    }
    const std::optional<std::size_t> written = inflater_->inflate_into(text_.data() + end_, kPiece);
    if (!written) {
      throw Error(ErrorKind::kInput, where_,
                  "corrupt gzip data after line " + std::to_string(number_));
    }
    end_ += *written;
    if (*written > 0) return true;
  }
}

bool TraceLines::next(std::string_view& line) {
  std::size_t searched = begin_;
  for (;;) {
    const char* const found =
        static_cast<const char*>(std::memchr(text_.data() + searched, '\n', end_ - searched));
    const std::size_t stop =
        found != nullptr ? static_cast<std::size_t>(found - text_.data()) : end_;
    if (stop - begin_ > longest_) {
      throw Error(ErrorKind::kInput, where_ + ':' + std::to_string(number_ + 1),
                  "a line of more than " + std::to_string(longest_) + " bytes; is this a trace?");
    }
    if (found != nullptr) {
      line = std::string_view(text_.data() + begin_, stop - begin_);
      begin_ = stop + 1;
      break;
    }
    const std::size_t kept = end_ - begin_;
    if (fill()) {
      searched = kept;
      continue;
    }
    if (kept == 0) return false;
    line = std::string_view(text_.data(), kept);
    begin_ = end_;
    break;
  }
  if (line.ends_with('\r')) line.remove_suffix(1);
  ++number_;
  return true;
}

}  // namespace lindos
