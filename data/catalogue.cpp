// SPDX-License-Identifier: Apache-2.0
#include "data/catalogue.h"

#include <algorithm>
#include <string>
#include <system_error>
#include <vector>

#include "scenarios/error.h"
#include "scenarios/text_file.h"

namespace lindos {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> toml_files(const fs::path& dir) {
  std::error_code ec;
  if (!fs::is_directory(dir, ec)) {
    throw Error(ErrorKind::kInput, dir.string(), "no such catalogue folder");
  }
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(dir)) {
    if (entry.path().extension() == ".toml") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// The file name is the entry's name: whoever reads a scenario finds the entry without searching.
void check_name(const fs::path& file, const std::string& name) {
  if (file.stem() != name) {
    throw Error(ErrorKind::kInput, file.string(),
                "the entry is named \"" + name + "\"; the file must be " + name + ".toml");
  }
}

}  // namespace

Catalogue load_catalogue(const fs::path& dir) {
  Catalogue catalogue;
  for (const fs::path& file : toml_files(dir / "devices")) {
    Device device = parse_device(read_text_file(file, ""), file.string());
    check_name(file, device.name);
    for (const auto& [field, source] : device.sources) {
      catalogue.date = std::max(catalogue.date, source.date);
    }
    catalogue.devices.emplace(device.name, std::move(device));
  }
  for (const fs::path& file : toml_files(dir / "models")) {
    Model model = parse_model_entry(read_text_file(file, ""), file.string());
    check_name(file, model.name);
    catalogue.models.emplace(model.name, std::move(model));
  }
  return catalogue;
}

fs::path default_catalogue_dir() {
  std::vector<fs::path> candidates{LINDOS_CATALOGUE_DIR};
  std::error_code ec;
  const fs::path executable = fs::read_symlink("/proc/self/exe", ec);
  if (!ec) {
    // Installed as prefix/bin/lindos, or built as build/<preset>/bin/lindos in a moved source tree.
    const fs::path bin = executable.parent_path();
    candidates.push_back(bin / "../share/lindos/catalogue");
    candidates.push_back(bin / "../../../data/catalogue");
  }
  std::string tried;
  for (const fs::path& dir : candidates) {
    if (fs::is_directory(dir / "devices", ec)) return dir.lexically_normal();
    tried += (tried.empty() ? "" : ", ") + dir.lexically_normal().string();
  }
  throw Error(ErrorKind::kEnvironment, "",
              "the device and model catalogue is missing; looked in " + tried);
}

fs::path distilled_profile(const fs::path& catalogue_dir, const std::string& device) {
  std::error_code ec;
  const fs::path path = catalogue_dir / ".." / "profiles" / (device + ".json");
  return fs::is_regular_file(path, ec) ? path.lexically_normal() : fs::path();
}

}  // namespace lindos
