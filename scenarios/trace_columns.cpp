// SPDX-License-Identifier: Apache-2.0
#include "scenarios/trace_columns.h"

#include <algorithm>
#include <deque>

#include <nlohmann/json.hpp>

#include "scenarios/json_reader.h"

namespace lindos {

namespace {

// Without these there is no request; those that the names leave out are not wanted.
constexpr TraceColumn kRequired[] = {TraceColumn::kArrival, TraceColumn::kPrompt, TraceColumn::kOutput,
                                     TraceColumn::kTenant};

std::optional<std::size_t> find_column(const TraceColumnNames& names, std::string_view name) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!names[i].empty() && names[i] == name) return i;
  }
  return std::nullopt;
}

class CsvColumns final : public TraceColumns {
 public:
  explicit CsvColumns(const TraceColumnNames& names) : names_(names) {}

  bool parse(std::string_view line, TraceFields& fields, const Fail& fail) override {
    split(line, fail);
    if (targets_.empty()) {
      read_header(fail);
      return false;
    }
    if (fields_.size() != targets_.size()) {
      fail("expected " + std::to_string(targets_.size()) + " columns as in the header, saw " +
           std::to_string(fields_.size()));
    }
    fields.text.fill(std::nullopt);
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      if (targets_[i]) fields.text[*targets_[i]] = fields_[i];
    }
    return true;
  }

 private:
  void split(std::string_view line, const Fail& fail) {
    fields_.clear();
    std::size_t quoted = 0;  // of unquoted_
    while (true) {
      if (!line.empty() && line.front() == '"') {
        if (unquoted_.size() <= quoted) unquoted_.emplace_back();
        fields_.push_back(unquote(line, unquoted_[quoted++], fail));
      } else {
        const std::size_t end = std::min(line.find(','), line.size());
        fields_.push_back(line.substr(0, end));
        line.remove_prefix(end);
      }
      if (line.empty()) return;
      line.remove_prefix(1);  // the comma
    }
  }

  // Takes a quoted field off the line, up to the comma behind it.
  static std::string_view unquote(std::string_view& line, std::string& into, const Fail& fail) {
    into.clear();
    std::size_t i = 1;
    while (true) {
      const std::size_t quote = line.find('"', i);
      if (quote == std::string_view::npos) fail("a quote is not closed");
      into += line.substr(i, quote - i);
      i = quote + 1;
      if (i >= line.size() || line[i] != '"') break;
      into += '"';
      ++i;
    }
    line.remove_prefix(i);
    if (!line.empty() && line.front() != ',') fail("expected a comma after a quoted field");
    return into;
  }

  void read_header(const Fail& fail) {
    // The mark that some programs put in front of UTF-8.
    if (fields_.front().starts_with("\xEF\xBB\xBF")) fields_.front().remove_prefix(3);
    std::vector<std::string> seen;
    for (const std::string_view field : fields_) {
      const auto column = find_column(names_, field);
      if (column && std::find(targets_.begin(), targets_.end(), column) != targets_.end())
        fail("column \"" + std::string(field) + "\" stands twice in the header");
      targets_.push_back(column);
      seen.emplace_back(field);
    }
    for (const TraceColumn column : kRequired) {
      const auto index = static_cast<std::size_t>(column);
      if (names_[index].empty()) continue;
      if (std::find(targets_.begin(), targets_.end(), std::optional(index)) != targets_.end()) continue;
      const std::string name(names_[index]);
      fail("expected a header with column \"" + name + '"' + did_you_mean(name, seen));
    }
  }

  TraceColumnNames names_;
  std::vector<std::optional<std::size_t>> targets_;  // [column of the file]; empty before the header
  std::vector<std::string_view> fields_;
  std::deque<std::string> unquoted_;  // fields_ looks into them: they stay where they are when more come
};

// Takes the values of the named keys from the outermost object.
class JsonRow final : public nlohmann::json_sax<nlohmann::json> {
 public:
  JsonRow(const TraceColumnNames& names, std::array<std::string, kTraceColumns>& texts, TraceFields& fields)
      : names_(names), texts_(texts), fields_(fields) {}

  [[nodiscard]] const std::string& problem() const { return problem_; }
  [[nodiscard]] const std::vector<std::string>& keys() const { return keys_; }

  bool null() override { return value("null"); }
  bool boolean(bool v) override { return value(v ? "true" : "false"); }
  bool number_integer(number_integer_t v) override { return value(std::to_string(v)); }
  bool number_unsigned(number_unsigned_t v) override {
    if (in_blocks_) {
      fields_.blocks.push_back(v);
      return true;
    }
    return value(std::to_string(v));
  }
  bool number_float(number_float_t, const string_t& text) override { return value(text); }
  bool string(string_t& text) override { return value(text); }
  bool binary(binary_t&) override { return value("binary"); }
  bool start_object(std::size_t) override {
    if (depth_ > 0 && column_) return fail_value("an object");
    ++depth_;
    return true;
  }
  bool key(string_t& name) override {
    if (depth_ != 1) return true;
    column_ = find_column(names_, name);
    keys_.push_back(name);
    if (column_ && fields_.text[*column_]) {
      problem_ = "key \"" + name + "\" stands twice";
      return false;
    }
    return true;
  }
  bool end_object() override {
    --depth_;
    column_.reset();
    return true;
  }
  bool start_array(std::size_t) override {
    if (depth_ == 0) {
      problem_ = "expected an object";
      return false;
    }
    if (depth_ == 1 && column_ == static_cast<std::size_t>(TraceColumn::kBlocks) && !in_blocks_) {
      in_blocks_ = true;
      fields_.text[*column_] = "";
      return true;
    }
    if (in_blocks_ || (depth_ == 1 && column_)) return fail_value("an array");
    ++depth_;
    return true;
  }
  bool end_array() override {
    if (in_blocks_) {
      in_blocks_ = false;
      column_.reset();
    } else {
      --depth_;
    }
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    problem_ = "no JSON object: column " + std::to_string(position);
    return false;
  }

 private:
  bool fail_value(const std::string& seen) {
    const bool named = *column_ == static_cast<std::size_t>(TraceColumn::kTenant);
    problem_ = "key \"" + std::string(names_[*column_]) + "\": expected " + (named ? "a name" : "a number") + ", saw " +
               seen;
    return false;
  }
  bool value(std::string text) {
    if (in_blocks_) {
      problem_ = "key \"" + std::string(names_[*column_]) + "\": expected whole numbers from 0 on, saw " + text;
      return false;
    }
    if (depth_ == 0) {
      problem_ = "expected an object";
      return false;
    }
    if (depth_ == 1 && column_) {
      texts_[*column_] = std::move(text);
      fields_.text[*column_] = texts_[*column_];
      column_.reset();
    }
    return true;
  }

  const TraceColumnNames& names_;
  std::array<std::string, kTraceColumns>& texts_;
  TraceFields& fields_;
  std::vector<std::string> keys_;
  std::optional<std::size_t> column_;  // whose value comes next
  int depth_ = 0;
  bool in_blocks_ = false;
  std::string problem_;
};

class JsonColumns final : public TraceColumns {
 public:
  explicit JsonColumns(const TraceColumnNames& names) : names_(names) {}

  bool parse(std::string_view line, TraceFields& fields, const Fail& fail) override {
    fields.text.fill(std::nullopt);
    fields.blocks.clear();
    JsonRow row(names_, texts_, fields);
    if (!nlohmann::json::sax_parse(line, &row)) fail(row.problem());
    for (const TraceColumn column : kRequired) {
      const auto index = static_cast<std::size_t>(column);
      if (names_[index].empty() || fields.text[index]) continue;
      const std::string name(names_[index]);
      fail("expected key \"" + name + '"' + did_you_mean(name, row.keys()));
    }
    return true;
  }

 private:
  TraceColumnNames names_;
  std::array<std::string, kTraceColumns> texts_;
};

}  // namespace

std::unique_ptr<TraceColumns> csv_columns(const TraceColumnNames& names) {
  return std::make_unique<CsvColumns>(names);
}

std::unique_ptr<TraceColumns> json_columns(const TraceColumnNames& names) {
  return std::make_unique<JsonColumns>(names);
}

}  // namespace lindos
