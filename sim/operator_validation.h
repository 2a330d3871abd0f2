// SPDX-License-Identifier: Apache-2.0
// Measured operator times beside what a device's profile answers for them: every sample of a second profile
// (own measurements, or shapes that were held out when the first was distilled) becomes the op that it timed
// and is priced by the OperatorCost that predictions use.
//
//   const ValidationReport report = validate_operators(profile, held_out, "own.json");
#pragma once

#include <string>

#include "scenarios/profile.h"
#include "scenarios/validation_report.h"

namespace lindos::sim {

// Metrics "gemm_s", "prefill_attention_s", "decode_attention_s", "stream_s" and "collective_s", by number format or by
// op and backend, each value with its 80 % interval: spread of the samples and what the tier of the answer adds
// (systematic_sigma). An answer without any sample of its family behind it is a miss. Where both profiles have watts of such
// kernels: "gemm_w", "prefill_attention_w", "decode_attention_w", without intervals. `where` names the file of
// `measured` in misses. Throws Error{kInput} when the two are not of one device.
[[nodiscard]] ValidationReport validate_operators(const Profile& profile, const Profile& measured,
                                                  const std::string& where);

}  // namespace lindos::sim
