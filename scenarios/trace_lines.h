// SPDX-License-Identifier: Apache-2.0
// Lines of a text that may be gzip-compressed (one or several members), read in pieces: memory does
// not grow with the text. Lines end at \n or \r\n; the last may lack it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <istream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lindos {

class TraceLines {
 public:
  // `where` names the text in complaints. Borrows `in`, which must be open in binary mode. A line of more bytes than
  // `longest` is none of a trace.
  TraceLines(std::istream& in, std::string where, std::size_t longest = 4096);
  ~TraceLines();
  TraceLines(const TraceLines&) = delete;
  TraceLines& operator=(const TraceLines&) = delete;

  // False at the end. The view lives until the next call. Throws Error{kInput} for a gzip stream
  // that is cut short or corrupt, and for a line that is too long.
  [[nodiscard]] bool next(std::string_view& line);
  // Of the line that next() gave last; 1 is the first.
  [[nodiscard]] std::int64_t number() const { return number_; }

 private:
  class Inflater;
  bool fill();
  std::size_t read(std::vector<char>& into);

  std::istream& in_;
  std::string where_;
  std::size_t longest_;
  std::unique_ptr<Inflater> inflater_;  // null: plain text
  std::vector<char> packed_;
  std::vector<char> text_;
  std::size_t begin_ = 0;  // of what text_ still holds
  std::size_t end_ = 0;
  std::int64_t number_ = 0;
};

}  // namespace lindos
