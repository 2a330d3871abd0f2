// SPDX-License-Identifier: Apache-2.0
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "exec/checkpoint/checkpoint.h"
#include "exec/checkpoint/float_format.h"
#include "exec/checkpoint/json_file.h"
#include "exec/checkpoint/mapped_file.h"
#include "exec/checkpoint/tensor_slice.h"
#include "scenarios/error.h"

namespace lindos::exec {
namespace {

constexpr std::size_t kMaxIndex = 100'000'000;
constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

class SafetensorsFolder final : public Checkpoint {
 public:
  explicit SafetensorsFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Maps one file and takes in its tensors; returns their names.
  std::vector<std::string> add_file(const std::string& file_name) {
    const std::filesystem::path path = folder_ / file_name;
    files_.emplace_back(path);
    const auto bytes = files_.back().bytes();
    std::vector<std::string> names;
    for (SafetensorsEntry& entry : parse_safetensors_header(bytes, bytes.size(), path.string())) {
      names.push_back(entry.info.name);
      Stored stored{std::move(entry.info), bytes.subspan(entry.begin, entry.end - entry.begin)};
      if (!stored_.emplace(names.back(), std::move(stored)).second) {
        throw Error(ErrorKind::kInput, path.string() + ": /" + names.back(),
                    "another shard holds this tensor too");
      }
    }
    return names;
  }

  [[nodiscard]] const TensorInfo* find(std::string_view name) const override {
    const auto found = stored_.find(std::string(name));
    return found == stored_.end() ? nullptr : &found->second.info;
  }

  [[nodiscard]] std::vector<TensorInfo> tensors() const override {
    std::vector<TensorInfo> all;
    all.reserve(stored_.size());
    for (const auto& [name, stored] : stored_) all.push_back(stored.info);
    return all;
  }

  void read(std::string_view name, std::int64_t row_begin, std::int64_t row_end,
            std::int64_t col_begin, std::int64_t col_end, std::span<float> out) const override {
    const auto found = stored_.find(std::string(name));
    if (found == stored_.end()) {
      throw Error(ErrorKind::kInput, description(), fmt::format("no tensor \"{}\"", name));
    }
    const Stored& stored = found->second;
    if (!stored.info.foreign_dtype.empty()) {
      throw Error(ErrorKind::kInput, description() + ": /" + stored.info.name,
                  "is stored as " + stored.info.foreign_dtype +
                      "; weights are read from F32, F16 and BF16");
    }
    const TensorSlice slice = checked_slice(stored.info, row_begin, row_end, col_begin, col_end,
                                            out.size(), description());
    const auto width = static_cast<std::size_t>(bytes_of(stored.info.dtype));
    slice.for_each_run([&](std::size_t first, std::size_t count, std::size_t out_offset) {
      decode_floats(stored.data.data() + first * width, stored.info.dtype,
                    out.subspan(out_offset, count));
    });
  }

  [[nodiscard]] std::string description() const override { return folder_.string(); }

 private:
  struct Stored {
    TensorInfo info;
    std::span<const std::byte> data;
  };

  std::filesystem::path folder_;
  std::vector<MappedFile> files_;
  std::unordered_map<std::string, Stored> stored_;
};

void check_shard_name(const std::string& file_name, const std::string& where) {
  const bool leaves_folder =
      file_name.empty() || file_name.find_first_of("/\\") != std::string::npos ||
      file_name.find("..") != std::string::npos || file_name.find('\0') != std::string::npos;
  if (leaves_folder) {
    throw Error(ErrorKind::kInput, where,
                fmt::format("file name \"{}\" is refused: shards lie beside the index, without a "
                            "separator or \"..\"",
                            file_name));
  }
}

void add_shards(SafetensorsFolder& checkpoint, const std::filesystem::path& index_file) {
  const std::string where = index_file.string();
  const nlohmann::json index = parse_json_strictly(read_text_file(index_file, kMaxIndex), where);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    throw Error(ErrorKind::kInput, where + ": /weight_map",
                "expected an object from tensor name to file name");
  }
  std::unordered_map<std::string, std::string> held_by;  // tensor → file that really holds it
  std::unordered_map<std::string, bool> opened;
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    const std::string pointer = where + ": /weight_map/" + tensor;
    if (!file.is_string()) throw Error(ErrorKind::kInput, pointer, "expected a file name");
    const auto file_name = file.get<std::string>();
    check_shard_name(file_name, pointer);
    if (opened.emplace(file_name, true).second) {
      for (std::string& name : checkpoint.add_file(file_name))
        held_by.emplace(std::move(name), file_name);
    }
  }
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    const auto held = held_by.find(tensor);
    if (held != held_by.end() && held->second == file.get<std::string>()) continue;
    throw Error(ErrorKind::kInput, where + ": /weight_map/" + tensor,
                fmt::format("{} does not hold this tensor{}", file.get<std::string>(),
                            held == held_by.end() ? std::string() : "; " + held->second + " does"));
  }
}

}  // namespace

std::unique_ptr<Checkpoint> open_safetensors(const std::filesystem::path& folder) {
  if (!std::filesystem::is_directory(folder)) {
    throw Error(ErrorKind::kInput, folder.string(), "is not a folder");
  }
  auto checkpoint = std::make_unique<SafetensorsFolder>(folder);
  if (std::filesystem::exists(folder / kSingleFile)) {
    checkpoint->add_file(kSingleFile);
  } else if (std::filesystem::exists(folder / kIndexFile)) {
    add_shards(*checkpoint, folder / kIndexFile);
  } else {
    throw Error(ErrorKind::kInput, folder.string(),
                fmt::format("holds neither {} nor {}", kSingleFile, kIndexFile));
  }
  return checkpoint;
}

}  // namespace lindos::exec
