// SPDX-License-Identifier: Apache-2.0
#include "cli/waterfall_svg.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>
#include <vector>

#include <fmt/format.h>

namespace lindos::cli {

namespace {

// In user units of the picture.
constexpr double kWidth = 960.0;
constexpr double kHeight = 400.0;
constexpr double kLeft = 52.0;
constexpr double kTop = 48.0;  // below the legend and the label of the first bar
constexpr double kBottom = 330.0;
constexpr double kBarShare = 0.64;  // of a column
constexpr std::array<const char*, kLossGroups> kColours = {"#566273", "#b45309", "#0f766e", "#7c3aed"};
constexpr const char* kPeak = "#878e9a";
constexpr const char* kUseful = "#1d4ed8";
constexpr const char* kFolded = "#7b828e";
constexpr const char* kInk = "#16191f";
constexpr const char* kMuted = "#555d6a";
constexpr const char* kGrid = "#e6e8ec";

double y_of(double share) { return kBottom - std::clamp(share, 0.0, 1.0) * (kBottom - kTop); }

// Words on lines of about `width` characters.
std::vector<std::string> lines_of(const std::string& text, std::size_t width) {
  std::vector<std::string> lines(1);
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (!lines.back().empty() && lines.back().size() + 1 + word.size() > width) lines.emplace_back();
    lines.back() += (lines.back().empty() ? "" : " ") + word;
  }
  return lines;
}

class Picture {
 public:
  explicit Picture(int columns) : column_((kWidth - kLeft - 10.0) / columns) {}

  [[nodiscard]] double x(double column) const { return kLeft + (column + 0.5) * column_; }
  [[nodiscard]] double half() const { return column_ * kBarShare / 2.0; }

  void text(double at_x, double at_y, const std::string& words, const char* style) {
    out_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" {}>{}</text>\n", at_x, at_y, style, escaped(words));
  }
  void line(double x1, double y1, double x2, double y2, const char* style) {
    out_ += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", x1, y1, x2, y2, style);
  }
  void bar(int column, double before, double after, const char* colour, const std::string& title) {
    const double top = y_of(std::max(before, after));
    const double height = std::max(1.0, y_of(std::min(before, after)) - top);
    out_ += fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\"><title>{}</title></rect>\n",
        x(column) - half(), top, 2.0 * half(), height, colour, escaped(title));
  }
  void label(int column, const std::string& words) {
    const auto width = static_cast<std::size_t>(std::max(8.0, column_ / 6.0));
    double y = kBottom + 16.0;
    for (const std::string& part : lines_of(words, width)) {
      text(x(column), y, part, "text-anchor=\"middle\" fill=\"#555d6a\" font-size=\"11\"");
      y += 13.0;
    }
  }
  void whisker(int column, double low, double high) {
    const double at = x(column) + half() * 0.6;
    const auto style = fmt::format("stroke=\"{}\" stroke-width=\"1.2\"", kInk);
    line(at, y_of(low), at, y_of(high), style.c_str());
    for (const double end : {low, high}) line(at - 3.5, y_of(end), at + 3.5, y_of(end), style.c_str());
  }
  void diamond(int column, double level) {
    const double cx = x(column) - half() * 0.6, cy = y_of(level);
    out_ += fmt::format(
        "<path d=\"M{:.1f} {:.1f} l5 5 l-5 5 l-5 -5 z\" fill=\"#fff\" stroke=\"{}\" stroke-width=\"1.4\"/>\n", cx,
        cy - 5.0, kInk);
  }
  void swatch(double at_x, const char* colour, const std::string& words) {
    out_ += fmt::format("<rect x=\"{:.1f}\" y=\"10\" width=\"11\" height=\"11\" fill=\"{}\"/>\n", at_x, colour);
    text(at_x + 16.0, 20.0, words, "fill=\"#16191f\" font-size=\"12\"");
  }
  [[nodiscard]] std::string finished(const std::string& title) const {
    return fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\" "
        "font-family=\"sans-serif\"><title>{2}</title>\n<rect width=\"{0}\" height=\"{1}\" "
        "fill=\"#fff\"/>\n{3}</svg>\n",
        kWidth, kHeight, escaped(title), out_);
  }

 private:
  double column_;
  std::string out_;
};

}  // namespace

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string waterfall_svg(const Waterfall& waterfall) {
  const int last = static_cast<int>(waterfall.steps.size()) + 1;
  Picture picture(last + 1);
  for (int percent = 0; percent <= 100; percent += 20) {
    const double y = y_of(percent / 100.0);
    picture.line(kLeft, y, kWidth - 10.0, y, fmt::format("stroke=\"{}\"", kGrid).c_str());
    picture.text(kLeft - 8.0, y + 4.0, std::to_string(percent),
                 "text-anchor=\"end\" fill=\"#555d6a\" font-size=\"11\"");
  }
  picture.text(kLeft - 40.0, 20.0, "%", "fill=\"#555d6a\" font-size=\"11\"");
  const char* centred = "text-anchor=\"middle\" fill=\"#16191f\" font-size=\"12\"";
  const char* bold = "text-anchor=\"middle\" fill=\"#16191f\" font-size=\"12\" font-weight=\"bold\"";
  picture.bar(0, 1.0, 0.0, kPeak, "peak");
  picture.label(0, "Peak");
  picture.text(picture.x(0), y_of(1.0) - 5.0, "100 %", bold);
  std::array<bool, kLossGroups> used{};
  for (int i = 1; i < last; ++i) {
    const WaterfallStep& step = waterfall.steps[static_cast<std::size_t>(i - 1)];
    const bool folded = step.causes.size() > 1;
    const auto group = static_cast<std::size_t>(step.group);
    used[group] = used[group] || !folded;
    const std::string dashed = fmt::format("stroke=\"{}\" stroke-dasharray=\"4 3\"", kMuted);
    picture.line(picture.x(i - 1) + picture.half(), y_of(step.before), picture.x(i) - picture.half(),
                 y_of(step.before), dashed.c_str());
    picture.bar(i, step.before, step.after, folded ? kFolded : kColours[group],
                step.label + ": " + percent_text(step.share) + ". " + step.sentence);
    picture.label(i, step.label);
    picture.text(picture.x(i), y_of(step.before) - 5.0, fmt::format("−{:.1f}", step.share * 100.0), centred);
    if (step.p10 && *step.p10 != *step.p90) picture.whisker(i, step.before - *step.p90, step.before - *step.p10);
    if (step.measured) picture.diamond(i, step.before - *step.measured);
  }
  const LedgerEntry& useful = waterfall.useful;
  picture.bar(last, useful.share, 0.0, kUseful, "useful: " + percent_text(useful.share));
  picture.label(last, "Useful");
  picture.text(picture.x(last), y_of(std::max(useful.share, useful.p90)) - 5.0, percent_text(useful.share), bold);
  if (useful.p10 != useful.p90) picture.whisker(last, useful.p10, useful.p90);
  if (waterfall.measured_useful) picture.diamond(last, *waterfall.measured_useful);
  double x = kLeft + 120.0;
  for (std::size_t g = 0; g < used.size(); ++g) {
    if (!used[g]) continue;
    picture.swatch(x, kColours[g], std::string(label_of(static_cast<LossGroup>(g))));
    x += 130.0;
  }
  picture.text(x, 20.0, waterfall.measured_useful ? "◇ measured   | P10 – P90" : "| P10 – P90",
               "fill=\"#16191f\" font-size=\"12\"");
  return picture.finished("Where the peak goes");
}

}  // namespace lindos::cli
