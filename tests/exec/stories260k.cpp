// SPDX-License-Identifier: Apache-2.0
#include "tests/exec/stories260k.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <utility>

#include "exec/checkpoint/tensor_slice.h"

namespace lindos::exec::golden {
namespace {

class MemoryCheckpoint final : public Checkpoint {
 public:
  void add(const std::string& name, std::vector<std::int64_t> shape, std::vector<float> values) {
    tensors_[name] = {{name, Dtype::kF32, std::move(shape), {}}, std::move(values)};
  }
  [[nodiscard]] const TensorInfo* find(std::string_view name) const override {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : &found->second.info;
  }
  [[nodiscard]] std::vector<TensorInfo> tensors() const override {
    std::vector<TensorInfo> all;
    for (const auto& [name, tensor] : tensors_) all.push_back(tensor.info);
    return all;
  }
  void read(std::string_view name, std::int64_t row_begin, std::int64_t row_end,
            std::int64_t col_begin, std::int64_t col_end, std::span<float> out) const override {
    const auto found = tensors_.find(name);
    if (found == tensors_.end())
      throw Error(ErrorKind::kInput, description(), "no tensor " + std::string(name));
    const auto slice = checked_slice(found->second.info, row_begin, row_end, col_begin, col_end,
                                     out.size(), description());
    slice.for_each_run([&](std::size_t first, std::size_t count, std::size_t out_offset) {
      std::memcpy(out.data() + out_offset, found->second.values.data() + first,
                  count * sizeof(float));
    });
  }
  [[nodiscard]] std::string description() const override { return "stories260K"; }

 private:
  struct Tensor {
    TensorInfo info;
    std::vector<float> values;
  };
  std::map<std::string, Tensor, std::less<>> tensors_;
};

// Takes values from the front of a file's bytes.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& file) : name_(file.string()) {
    std::ifstream stream(file, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(stream), {});
  }
  template <typename T>
  T take() {
    T value{};
    copy(&value, sizeof value);
    return value;
  }
  std::vector<float> floats(std::int64_t count) {
    std::vector<float> values(static_cast<std::size_t>(count));
    copy(values.data(), values.size() * sizeof(float));
    return values;
  }
  std::string text(std::size_t size) {
    std::string value(size, '\0');
    copy(value.data(), size);
    return value;
  }
  void expect_end() const {
    if (position_ != bytes_.size())
      throw std::runtime_error(name_ + ": longer than its header says");
  }

 private:
  void copy(void* target, std::size_t size) {
    if (size > bytes_.size() - position_)
      throw std::runtime_error(name_ + ": shorter than its header says");
    std::memcpy(target, bytes_.data() + position_, size);
    position_ += size;
  }
  std::string name_;
  std::vector<char> bytes_;
  std::size_t position_ = 0;
};

// llama2.c rotates the pairs (2i, 2i + 1) of a head, Hugging Face (i, i + d/2): row 2i + j moves to
// j·d/2 + i.
std::vector<float> to_half_split(const std::vector<float>& weights, std::int64_t head_dim,
                                 std::int64_t columns) {
  std::vector<float> permuted(weights.size());
  const std::int64_t rows = static_cast<std::int64_t>(weights.size()) / columns;
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t within = row % head_dim;
    const std::int64_t target = row - within + (within % 2) * (head_dim / 2) + within / 2;
    std::copy_n(weights.begin() + row * columns, columns, permuted.begin() + target * columns);
  }
  return permuted;
}

std::unique_ptr<Checkpoint> read_weights(const std::filesystem::path& file, Model& model) {
  Reader reader(file);
  model.name = "stories260K";
  model.architecture = "LlamaForCausalLM";
  model.hidden = reader.take<std::int32_t>();
  model.ffn = reader.take<std::int32_t>();
  model.layers = reader.take<std::int32_t>();
  model.q_heads = reader.take<std::int32_t>();
  model.kv_heads = reader.take<std::int32_t>();
  model.vocab = reader.take<std::int32_t>();
  model.max_positions = reader.take<std::int32_t>();
  if (model.hidden != 64 || model.q_heads != 8 || model.vocab != 512) {
    throw std::runtime_error(file.string() + ": not the header of stories260K");
  }
  model.head_dim = model.hidden / model.q_heads;
  model.tied_embeddings = true;
  model.dtype = Dtype::kF32;
  model.bos_token = 1;
  model.eos_tokens = {2};
  const std::int64_t kv_width = model.kv_heads * model.head_dim;

  auto checkpoint = std::make_unique<MemoryCheckpoint>();
  const auto read_layers = [&](const char* name, std::vector<std::int64_t> shape, bool rotated) {
    for (std::int64_t layer = 0; layer < model.layers; ++layer) {
      std::int64_t count = 1;
      for (const std::int64_t extent : shape) count *= extent;
      std::vector<float> values = reader.floats(count);
      if (rotated) values = to_half_split(values, model.head_dim, shape.back());
      checkpoint->add("model.layers." + std::to_string(layer) + "." + name, shape,
                      std::move(values));
    }
  };
  checkpoint->add("model.embed_tokens.weight", {model.vocab, model.hidden},
                  reader.floats(model.vocab * model.hidden));
  read_layers("input_layernorm.weight", {model.hidden}, false);
  read_layers("self_attn.q_proj.weight", {model.hidden, model.hidden}, true);
  read_layers("self_attn.k_proj.weight", {kv_width, model.hidden}, true);
  read_layers("self_attn.v_proj.weight", {kv_width, model.hidden}, false);
  read_layers("self_attn.o_proj.weight", {model.hidden, model.hidden}, false);
  read_layers("post_attention_layernorm.weight", {model.hidden}, false);
  read_layers("mlp.gate_proj.weight", {model.ffn, model.hidden}, false);
  read_layers("mlp.down_proj.weight", {model.hidden, model.ffn}, false);
  read_layers("mlp.up_proj.weight", {model.ffn, model.hidden}, false);
  checkpoint->add("model.norm.weight", {model.hidden}, reader.floats(model.hidden));
  (void)reader.floats(model.max_positions *
                      model.head_dim);  // cosines and sines, which the engine computes itself
  reader.expect_end();
  return checkpoint;
}

std::vector<std::string> read_vocabulary(const std::filesystem::path& file, std::int64_t size) {
  Reader reader(file);
  (void)reader.take<std::int32_t>();  // longest token
  std::vector<std::string> vocabulary;
  for (std::int64_t id = 0; id < size; ++id) {
    (void)reader.take<float>();  // score, which only encoding needs
    vocabulary.push_back(reader.text(static_cast<std::size_t>(reader.take<std::int32_t>())));
  }
  reader.expect_end();
  return vocabulary;
}

}  // namespace

std::string stories260k_folder() {
  return (std::filesystem::path(LINDOS_SOURCE_DIR).parent_path() /
          "shared/reference/checkpoints/stories260K")
      .string();
}

std::optional<Stories260k> find_stories260k() {
  const std::filesystem::path folder = stories260k_folder();
  if (!std::filesystem::exists(folder / "stories260K.bin")) return std::nullopt;
  Stories260k stories;
  stories.checkpoint = read_weights(folder / "stories260K.bin", stories.model);
  stories.vocabulary = read_vocabulary(folder / "tok512.bin", stories.model.vocab);
  std::ifstream expected(folder / "expected_greedy_200.txt");
  stories.expected_text.assign(std::istreambuf_iterator<char>(expected), {});
  return stories;
}

std::string Stories260k::decode(const std::vector<std::int32_t>& ids) const {
  std::string text;
  for (const std::int32_t id : ids) {
    std::string piece = vocabulary.at(static_cast<std::size_t>(id));
    if (piece.size() == 6 && piece.starts_with("<0x")) {
      piece = std::string(1, static_cast<char>(std::stoi(piece.substr(3, 2), nullptr, 16)));
    }
    text += piece;
  }
  if (!ids.empty() && text.starts_with(' ')) text.erase(0, 1);
  return text;
}

}  // namespace lindos::exec::golden
