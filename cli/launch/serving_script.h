// SPDX-License-Identifier: Apache-2.0
// A shell script that starts one replica with a serving engine: head, environment, one command with
// a flag per line.
#pragma once

#include <string>
#include <vector>

#include "cli/launch/placement.h"

namespace lindos::cli {

struct ServingScript {
  std::string tool;                      // "vLLM 0.33"
  std::string suffix;                    // of the file: "vllm"
  std::vector<std::string> notes;        // what the plan says and flags do not
  std::vector<std::string> preparation;  // shell lines before the command
  std::string command;                   // "vllm serve \"$MODEL\""
  std::vector<std::string> flags;        // each with its value
  std::int64_t port = 8000;
  bool over_mpi = false;  // ranks find each other over MPI, not by NODE_RANK and MASTER_ADDR
};

// Of the one group: head and notes say what the plan is, the digest where it comes from.
[[nodiscard]] Launch launch_of(const LaunchRequest& request, const UniformGroup& shape,
                               const ServingScript& script);

// What `launch` makes of each group of a serving plan as `tool` sees it. Throws Error{kInfeasible} for training, device
// kinds the tool does not run on (no CUDA) and whatever uniform_group refuses.
[[nodiscard]] std::vector<Launch> launch_each(const LaunchRequest& request, const std::string& tool,
                                              Launch (*launch)(const LaunchRequest&, const UniformGroup&));

// Shell line that sets MODEL, or asks for it.
[[nodiscard]] std::string model_line(const LaunchRequest& request);
[[nodiscard]] std::string shell_quoted(const std::string& text);

// Spelling of PyTorch: "bfloat16". Throws Error{kInfeasible} for what is no activation format.
[[nodiscard]] std::string torch_name(Dtype dtype, const std::string& where);

}  // namespace lindos::cli
