// SPDX-License-Identifier: Apache-2.0
// A folder of clients in the form that ServeGen publishes (arXiv 2505.09999): not requests, but how each client asks, so
// that requests like its own can be drawn.
//
//   NAME-trace.csv     no header; rows of begin (s), rate (1/s), coefficient of variation, Gamma | Weibull or nothing,
//                      shape, scale (s) of the gaps; a row holds until the next begins, the last as long as the one
//                      before it (600 s alone)
//   NAME-dataset.json  by begin (s): input_tokens and output_tokens, each a text "{length: probability, …}"; other keys
//                      are skipped
//
// Of a row the rate and the shape of the gaps count. The scale follows from both: that of the file was fitted to the
// gaps by itself, and in rows with few or clumped requests it means another rate than the row's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/request_trace.h"

namespace lindos {

enum class GapKind { kGamma, kWeibull };

// Requests arrive at `rate`, with gaps of this kind.
struct ClientWindow {
  double begin_s = 0.0;
  double end_s = 0.0;
  double rate = 0.0;  // 1/s; 0: none
  GapKind kind = GapKind::kGamma;
  double shape = 1.0;
  std::int64_t line = 0;
};

struct LengthHistogram {
  std::vector<std::int64_t> tokens;  // ascending
  std::vector<double> until;         // [length]: probability of it and all before it; the last is 1
  [[nodiscard]] bool empty() const { return tokens.empty(); }
};

struct ClientLengths {
  double begin_s = 0.0;  // until the next begins
  LengthHistogram prompt;
  LengthHistogram output;
};

struct ServegenClient {
  std::string name;  // "chunk-3"
  std::vector<ClientWindow> windows;   // ascending
  std::vector<ClientLengths> lengths;  // ascending; there are some wherever requests arrive
  // REQUIRES: requests arrive then.
  [[nodiscard]] const ClientLengths& lengths_at(double seconds) const;
};

struct ServegenFolder {
  std::vector<ServegenClient> clients;  // by name, numbers by value
  std::string digest;                   // of all files that were read, hex
  [[nodiscard]] double expected_requests() const;
  [[nodiscard]] double span_s() const;  // from the first window to the end of the last
};

// One file of a client. `where` names it. Throw Error{kInput} with file:line:column of what is wrong.
[[nodiscard]] std::vector<ClientWindow> parse_client_windows(std::string_view text, const std::string& where);
[[nodiscard]] std::vector<ClientLengths> parse_client_lengths(std::string_view text, const std::string& where);

// Throws likewise for a folder without clients, a client without lengths where it asks, and lengths of more than
// `max_tokens` together (0 = any).
[[nodiscard]] ServegenFolder read_servegen(const std::filesystem::path& folder, std::int64_t max_tokens);

// The requests to be expected, in the mean; their lengths by what the histograms hold. With `tenants` each client must be
// one of them. Throws as read_servegen.
[[nodiscard]] TraceSummary scan_clients(const std::filesystem::path& folder, std::int64_t max_tokens,
                                        const std::vector<std::string>& tenants);

}  // namespace lindos
