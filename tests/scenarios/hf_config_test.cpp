// SPDX-License-Identifier: Apache-2.0
#include "scenarios/hf_config.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include <nlohmann/json.hpp>

#include "scenarios/error.h"
#include "scenarios/ops.h"
#include "scenarios/scenario.h"
#include "tests/scenarios/models.h"

namespace lindos {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

Json small() {
  return {{"architectures", {"LlamaForCausalLM"}}, {"hidden_size", 64}, {"num_hidden_layers", 4},
          {"num_attention_heads", 4}, {"intermediate_size", 128}, {"vocab_size", 100},
          {"max_position_embeddings", 256}, {"torch_dtype", "bfloat16"}};
}
Json with(const Json& changes) {
  Json config = small();
  config.merge_patch(changes);
  return config;
}
HfConfig parse(const Json& config) { return parse_hf_config(config.dump(), "config.json"); }
std::string complaint(const std::string& text) {
  try {
    static_cast<void>(parse_hf_config(text, "config.json"));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
  return "accepted";
}
std::string complaint(const Json& config) { return complaint(config.dump()); }

TEST(HfConfig, DefaultsOfTheLlamaFamily) {
  const Model m = parse(small()).model;
  EXPECT_EQ(m.kv_heads, 4);
  EXPECT_EQ(m.head_dim, 16);
  EXPECT_EQ(m.rms_eps, 1e-6);
  EXPECT_EQ(m.rope_theta, 10000.0);
  EXPECT_FALSE(m.tied_embeddings);
  EXPECT_FALSE(m.qkv_bias || m.o_bias || m.mlp_bias || m.qk_norm);
  EXPECT_EQ(m.bos_token, -1);
}

TEST(HfConfig, ExplicitHeadDimWins) {
  const Model m = parse(with({{"head_dim", 24}, {"num_key_value_heads", 2}})).model;
  EXPECT_EQ(m.head_dim, 24);
  EXPECT_EQ(m.group(), 2);
}

TEST(HfConfig, BiasesPerArchitecture) {
  const Model llama = parse(with({{"attention_bias", true}, {"mlp_bias", true}})).model;
  EXPECT_TRUE(llama.qkv_bias && llama.o_bias && llama.mlp_bias);
  const Model qwen2 = parse(with({{"architectures", {"Qwen2ForCausalLM"}}})).model;
  EXPECT_TRUE(qwen2.qkv_bias);
  EXPECT_FALSE(qwen2.o_bias);
  EXPECT_TRUE(parse(with({{"architectures", {"Qwen3ForCausalLM"}}})).model.qk_norm);
}

// deepseek-moe-16b: softmax scores, heads of a Llama, two shared experts of one expert's width each.
TEST(HfConfig, ExpertsOfTheFirstDeepSeek) {
  const Json moe = {{"architectures", {"DeepseekForCausalLM"}}, {"n_routed_experts", 8}, {"num_experts_per_tok", 3},
                    {"moe_intermediate_size", 48}, {"n_shared_experts", 2}, {"first_k_dense_replace", 1},
                    {"scoring_func", "softmax"}};
  const Model m = parse(with(moe)).model;
  EXPECT_EQ(m.moe, (Moe{.experts = 8, .top_k = 3, .expert_ffn = 48, .shared_experts = 2, .shared_ffn = 96,
                        .first_dense_layers = 1, .normalise_top_k = false}));
  EXPECT_FALSE(m.is_mla());
  Json sigmoid = moe;
  sigmoid["scoring_func"] = "sigmoid";
  EXPECT_EQ(complaint(with(sigmoid)), "config.json: /scoring_func: unsupported scores \"sigmoid\"; known: softmax");
}

TEST(HfConfig, RopeInAllThreeSpellings) {
  const Json llama3 = {{"rope_type", "llama3"}, {"factor", 8.0}, {"low_freq_factor", 1.0},
                       {"high_freq_factor", 4.0}, {"original_max_position_embeddings", 128}};
  const Model a = parse(with({{"rope_scaling", llama3}, {"rope_theta", 5e5}})).model;
  EXPECT_EQ(a.rope.kind, RopeKind::kLlama3);
  EXPECT_EQ(a.rope.original_max_positions, 128);
  Json old = llama3;
  old["type"] = old["rope_type"];
  old.erase("rope_type");
  EXPECT_EQ(parse(with({{"rope_scaling", old}, {"rope_theta", 5e5}})).model, a);
  Json newer = llama3;
  newer["rope_theta"] = 5e5;
  EXPECT_EQ(parse(with({{"rope_parameters", newer}})).model, a);
  EXPECT_EQ(parse(with({{"rope_parameters", {{"rope_theta", 3e4}}}})).model.rope_theta, 3e4);
}

TEST(HfConfig, WindowsCountOnlyWhenUsed) {
  EXPECT_TRUE(parse(with({{"sliding_window", 32}})).model.sliding_window.empty());
  EXPECT_TRUE(parse(with({{"sliding_window", 32}, {"use_sliding_window", false}})).model.sliding_window.empty());
  EXPECT_EQ(parse(with({{"sliding_window", 32}, {"use_sliding_window", true}, {"max_window_layers", 2}}))
                .model.sliding_window,
            (std::vector<int>{0, 0, 32, 32}));
  EXPECT_EQ(parse(with({{"sliding_window", 8},
                        {"layer_types",
                         {"sliding_attention", "full_attention", "full_attention", "sliding_attention"}}}))
                .model.sliding_window,
            (std::vector<int>{8, 0, 0, 8}));
  EXPECT_EQ(parse(with({{"architectures", {"MistralForCausalLM"}}, {"sliding_window", 32}}))
                .model.sliding_window,
            (std::vector<int>{32, 32, 32, 32}));
}

TEST(HfConfig, EndTokensAreANumberOrAList) {
  EXPECT_EQ(parse(with({{"eos_token_id", 7}})).model.eos_tokens, (std::vector<std::int64_t>{7}));
  EXPECT_EQ(parse(with({{"eos_token_id", {7, 9}}})).model.eos_tokens,
            (std::vector<std::int64_t>{7, 9}));
}

TEST(HfConfig, UnknownKeysAndQuantizationAreReported) {
  const HfConfig config = parse(with({{"hiden_act", "silu"},
                                      {"quantization_config", {{"quant_method", "gptq"}}}}));
  EXPECT_EQ(config.unknown_keys, (std::vector<std::string>{"hiden_act"}));
  EXPECT_EQ(config.quantization, "gptq");
}

TEST(HfConfig, Complaints) {
  const std::map<std::string, Json> cases{
      {"config.json: /hidden_size: missing", {{"hidden_size", nullptr}}},
      {"config.json: /hidden_size: expected an integer from 1 to 1048576, saw -4", {{"hidden_size", -4}}},
      {"config.json: /hidden_size: expected an integer from 1 to 1048576, saw 64.5", {{"hidden_size", 64.5}}},
      {"config.json: /num_hidden_layers: expected an integer from 1 to 2048, saw 18446744073709551615",
       {{"num_hidden_layers", 18446744073709551615U}}},
      {"config.json: /vocab_size: expected an integer from 1 to 16777216, saw \"100\"", {{"vocab_size", "100"}}},
      {"config.json: /head_dim: missing, and hidden_size 64 is not a multiple of num_attention_heads 5",
       {{"num_attention_heads", 5}}},
      {"config.json: kv_heads: 3 do not divide q_heads 4", {{"num_key_value_heads", 3}}},
      {"config.json: /tie_word_embeddings: expected true or false, saw 1", {{"tie_word_embeddings", 1}}},
      {"config.json: /rope_scaling/rope_type: unknown kind \"llama4\"; known: default, linear, dynamic, llama3, "
       "yarn (did you mean \"llama3\"?)",
       {{"rope_scaling", {{"rope_type", "llama4"}, {"factor", 2.0}}}}},
      {"config.json: /rope_scaling/factor: missing", {{"rope_scaling", {{"type", "linear"}}}}},
      {"config.json: /rope_scaling/high_freq_factor: must be above low_freq_factor",
       {{"rope_scaling", {{"rope_type", "llama3"}, {"factor", 8.0}, {"low_freq_factor", 4.0}, {"high_freq_factor", 4.0}}}}},
      {"config.json: /architectures/0: unknown architecture \"LamaForCausalLM\"; known: LlamaForCausalLM, "
       "MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM, MixtralForCausalLM, Qwen3MoeForCausalLM, "
       "DeepseekForCausalLM, DeepseekV3ForCausalLM, GptOssForCausalLM (did you mean \"LlamaForCausalLM\"?)",
       {{"architectures", {"LamaForCausalLM"}}}},
      {"config.json: /architectures/0: Olmo2ForCausalLM normalises q and k over the full width, which tensor "
       "shards cannot do alone; not supported",
       {{"architectures", {"Olmo2ForCausalLM"}}}},
      {"config.json: /torch_dtype: unknown number format \"bfloat\"; known: float32, float16, bfloat16 (did you "
       "mean \"bfloat16\"?)",
       {{"torch_dtype", "bfloat"}}},
      {"config.json: /hidden_act: unsupported activation \"gelu\"; known: silu", {{"hidden_act", "gelu"}}},
      {"config.json: /eos_token_id/1: expected an integer from 0 to 99, saw 100", {{"eos_token_id", {1, 100}}}},
      {"config.json: /layer_types: expected an array with one entry for each of 4 layers",
       {{"layer_types", {"full_attention"}}}},
      {"config.json: /layer_types/1: sliding_attention without \"sliding_window\"",
       {{"layer_types", {"full_attention", "sliding_attention", "full_attention", "full_attention"}}}},
      {"config.json: /partial_rotary_factor: only 1 is supported: RoPE over the whole head",
       {{"partial_rotary_factor", 0.5}}},
      {"config.json: /quantization_config/quant_method: missing", {{"quantization_config", Json::object()}}},
      {"config.json: /rms_norm_eps: expected a number from 1e-12 to 1.0, saw -1", {{"rms_norm_eps", -1}}}};
  for (const auto& [message, change] : cases) EXPECT_EQ(complaint(with(change)), message);
}

TEST(HfConfig, NotAConfigAtAll) {
  EXPECT_EQ(complaint(std::string("[]")), "config.json: expected an object, saw an array");
  EXPECT_EQ(complaint(std::string("{\"a\": 1, \"a\": 2}")),
            "config.json: the key \"a\" stands twice in one object");
  EXPECT_NE(complaint(std::string("{\n  \"hidden_size\": }")).find("config.json:2:"), std::string::npos);
  EXPECT_NE(complaint(std::string(200, '[')).find("config.json"), std::string::npos);
}

// Published totals; each file's count is derived from its shapes by parameter_count:
//   vocab·H·(1 or 2) + H + Σ layers [2H + H(q + 2kv)d + q·d·H + 3·H·ffn (+ qk-norm 2d, experts, router)].
// Llama-3.1-8B: 2·128,256·4,096 + 4,096 + 32·(8,192 + 41,943,040 + 176,160,768) = 8,030,261,248.
// Qwen3-0.6B: 151,936·1,024 + 1,024 + 28·(2,048 + 256 + 1,024·4,096 + 2,048·1,024 + 3·1,024·3,072) = 596,049,920.
// Mixtral-8x7B: 46.70 B. gpt-oss-120b: 116.83 B, of which 5.1 B active with the embedding counted once.
TEST(HfConfig, ReferenceFilesHaveTheirPublishedSizes) {
  const fs::path folder = fs::path(LINDOS_SOURCE_DIR) / "../shared/reference/model_configs";
  if (!fs::is_directory(folder)) GTEST_SKIP() << "no reference folder " << folder;
  const std::map<std::string, double> billions{
      {"Qwen--Qwen3-0.6B", 0.59604992}, {"Qwen--Qwen3-1.7B", 1.7205},
      {"Qwen--Qwen3-8B", 8.1907},       {"Qwen--Qwen3-32B", 32.7621},
      {"Qwen--Qwen3-30B-A3B", 30.5321}, {"Qwen--Qwen3-235B-A22B", 235.0936},
      {"meta-llama--Meta-Llama-3.1-8B", 8.030261248},
      {"meta-llama--Meta-Llama-3.1-70B", 70.553706},
      {"meta-llama--Meta-Llama-3.1-405B", 405.8534},
      {"mistralai--Mixtral-8x7B-v0.1", 46.7028}, {"mistralai--Mixtral-8x22B-v0.1", 140.6207},
      {"deepseek-ai--DeepSeek-V3", 671.0264}, {"deepseek-ai--DeepSeek-R1", 671.0264},
      {"moonshotai--Kimi-K2-Instruct", 1026.4},
      {"openai--gpt-oss-120b", 116.829}, {"openai--gpt-oss-20b", 20.9148}};
  int found = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string file = entry.path().filename().string();
    const auto end = file.find("_config.json");
    if (end == std::string::npos) continue;
    const HfConfig config = parse_hf_config(read(entry.path()), file);
    EXPECT_TRUE(config.unknown_keys.empty()) << file << ": " << config.unknown_keys.front();
    const auto expected = billions.find(file.substr(0, end));
    ASSERT_NE(expected, billions.end()) << "no published total stands here for " << file;
    EXPECT_NEAR(static_cast<double>(parameter_count(config.model)) / 1e9, expected->second,
                expected->second * 2e-4)
        << file;
    ++found;
  }
  EXPECT_GT(found, 0);
}

// The catalogue's entry and the model's own file describe one model.
TEST(ModelCatalogue, AgreesWithTheReferenceFiles) {
  const fs::path source = LINDOS_SOURCE_DIR;
  const fs::path folder = source / "../shared/reference/model_configs";
  if (!fs::is_directory(folder)) GTEST_SKIP() << "no reference folder " << folder;
  const std::map<std::string, std::string> pairs{
      {"qwen3-0.6b", "Qwen--Qwen3-0.6B"}, {"qwen3-8b", "Qwen--Qwen3-8B"},
      {"qwen3-32b", "Qwen--Qwen3-32B"}, {"qwen3-30b-a3b", "Qwen--Qwen3-30B-A3B"},
      {"qwen3-235b-a22b", "Qwen--Qwen3-235B-A22B"},
      {"llama-3.1-8b", "meta-llama--Meta-Llama-3.1-8B"},
      {"llama-3.1-70b", "meta-llama--Meta-Llama-3.1-70B"},
      {"llama-3.1-405b", "meta-llama--Meta-Llama-3.1-405B"},
      {"mixtral-8x7b", "mistralai--Mixtral-8x7B-v0.1"},
      {"deepseek-v3", "deepseek-ai--DeepSeek-V3"}, {"gpt-oss-120b", "openai--gpt-oss-120b"}};
  for (const auto& [name, file] : pairs) {
    const fs::path entry = source / "data/catalogue/models" / (name + ".toml");
    Model ours = parse_model_entry(read(entry), entry.string());
    Model theirs = parse_hf_config(read(folder / (file + "_config.json")), file).model;
    EXPECT_EQ(ours.name, name);
    theirs.name = ours.name;
    EXPECT_EQ(ours, theirs) << name;
  }
}

TEST(ModelCatalogue, EveryEntryLoads) {
  int entries = 0;
  for (const auto& file : fs::directory_iterator(fs::path(LINDOS_SOURCE_DIR) / "data/catalogue/models")) {
    const Model model = parse_model_entry(read(file.path()), file.path().string());
    EXPECT_EQ(model.name + ".toml", file.path().filename().string());
    EXPECT_GT(parameter_count(model), 100000000);
    ++entries;
  }
  EXPECT_GE(entries, 12);
}

TEST(ModelCatalogue, AGptHasNeitherGateNorRotation) {
  const fs::path path = fs::path(LINDOS_SOURCE_DIR) / "data/catalogue/models/gpt-3-175b.toml";
  EXPECT_EQ(parse_model_entry(read(path), path.string()), gpt3_175b());
}

TEST(ModelCatalogue, ComplaintsNameTheLine) {
  const fs::path path = fs::path(LINDOS_SOURCE_DIR) / "data/catalogue/models/llama-3.1-8b.toml";
  const std::string good = read(path);
  const auto complaint_with = [&](const std::string& from, const std::string& to) -> std::string {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    try {
      static_cast<void>(parse_model_entry(text, "m.toml"));
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(complaint_with("hidden = 4096", "hidden = \"4096\""),
            "m.toml:8:10: hidden: expected an integer, saw \"4096\"");
  EXPECT_EQ(complaint_with("hidden = 4096", "hidden = 0"),
            "m.toml:8:10: hidden: expected an integer from 1 to 1048576, saw 0");
  EXPECT_EQ(complaint_with("kind = \"llama3\"", "kind = \"lama3\""),
            "m.toml:23:8: rope.kind: unknown choice \"lama3\"; did you mean \"llama3\"?");
  EXPECT_EQ(complaint_with("rms_eps = 1e-5", "rms_eps = 1e-5\nsliding_windw = [0]"),
            "m.toml:17:1: sliding_windw: unknown key; did you mean \"sliding_window\"?");
  EXPECT_NE(complaint_with("hidden = 4096", "hidden 4096").find("m.toml:8:"), std::string::npos);
  EXPECT_EQ(complaint_with("hidden = 4096", "hidde = 4096"),
            "m.toml:8:1: hidde: unknown key; did you mean \"hidden\"?");
  // A scenario may leave these to defaults, a catalogue entry may not.
  EXPECT_NE(complaint_with("rms_eps = 1e-5", "").find("missing key \"rms_eps\""), std::string::npos);
  EXPECT_NE(complaint_with("original_max_positions = 8192", "").find("rope.original_max_positions: missing"),
            std::string::npos);
  // A pattern of windows repeats over the 32 layers, so it must divide them.
  EXPECT_EQ(complaint_with("rms_eps = 1e-5", "rms_eps = 1e-5\nsliding_window = [64, 0]"), "accepted");
  EXPECT_NE(complaint_with("rms_eps = 1e-5", "rms_eps = 1e-5\nsliding_window = [64, 0, 0]")
                .find("sliding_window: 3 entries for 32 layers"),
            std::string::npos);
}

}  // namespace
}  // namespace lindos
