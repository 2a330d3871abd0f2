// SPDX-License-Identifier: Apache-2.0
// The catalogue of devices and models: one TOML file per entry under data/catalogue/, each figure
// with its source and date (docs/formats.md).
#pragma once

#include <filesystem>
#include <string>

#include "scenarios/scenario.h"

namespace lindos {

// Reads devices/*.toml and models/*.toml under `dir`, in name order. Throws Error{kInput} for a
// missing folder, a broken entry, or an entry whose file is not named after it.
[[nodiscard]] Catalogue load_catalogue(const std::filesystem::path& dir);

// Where the catalogue of this build lies: the folder compiled in, else one beside the executable
// (../share/lindos/catalogue or ../../../data/catalogue). Throws Error{kEnvironment} naming what
// was tried.
[[nodiscard]] std::filesystem::path default_catalogue_dir();

// Where the profile of a catalogue device lies that was distilled from public tables, where nobody has probed it:
// profiles/DEVICE.json beside the catalogue. Empty when there is none.
[[nodiscard]] std::filesystem::path distilled_profile(const std::filesystem::path& catalogue_dir,
                                                      const std::string& device);

}  // namespace lindos
