// SPDX-License-Identifier: Apache-2.0
#include "scenarios/profile.h"

#include <algorithm>
#include <cfloat>
#include <iterator>
#include <optional>

#include <nlohmann/json.hpp>

#include "scenarios/error.h"
#include "scenarios/json_reader.h"
#include "scenarios/metrics.h"
#include "scenarios/model_check.h"
#include "scenarios/scenario.h"

namespace lindos {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kVersion = 5;
constexpr std::int64_t kOldestVersion = 1;  // older ones knew fewer keys; what they lack is empty
const std::string kFormat = "lindos-profile";
// Rates and times divide in the cost model, so zero is as wrong as a negative number.
constexpr double kPositive = DBL_MIN;

// What all timed shapes share.
template <class Sample>
void write_timing(Json& json, const Sample& sample) {
  json["time_s"] = sample.time.count();
  json["spread"] = sample.spread;
}

template <class Sample>
void write_power(Json& json, const Sample& sample) {
  if (sample.power.value() > 0.0) json["power_w"] = sample.power.value();
}

template <class Sample>
void write_placement(Json& json, const Sample& sample) {
  json["threads"] = sample.threads;
  json["active_ranks"] = sample.active_ranks;
}

template <class Sample>
void read_timing(JsonObject& object, Sample& sample) {
  sample.time = Seconds{object.number("time_s", kPositive)};
  sample.spread = object.number("spread", 0.0);
}

template <class Sample>
void read_power(JsonObject& object, Sample& sample) {
  if (object.optional("power_w")) sample.power = Watts{object.number("power_w", kPositive)};
}

int read_count(JsonObject& object, const std::string& key) {
  return static_cast<int>(object.integer(key, 1, 1 << 24));
}

template <class Sample>
void read_placement(JsonObject& object, Sample& sample) {
  if (object.optional("threads")) sample.threads = read_count(object, "threads");
  if (object.optional("active_ranks")) sample.active_ranks = read_count(object, "active_ranks");
}

Dtype read_dtype(JsonObject& object, const std::string& key = "dtype") {
  const std::string name = object.text(key);
  const auto dtype = find_dtype(name);
  if (!dtype) {
    object.fail(key, "expected one of f32, f16, bf16, fp8, fp4, int8, saw \"" + name + "\"");
  }
  return *dtype;
}

Json write(const GemmSample& sample) {
  Json json = {{"dtype", name_of(sample.dtype)}, {"m", sample.m}, {"n", sample.n}, {"k", sample.k}};
  write_placement(json, sample);
  write_timing(json, sample);
  write_power(json, sample);
  return json;
}

Json write(const AttentionSample& sample) {
  Json json = {{"dtype", name_of(sample.dtype)}, {"sequences", sample.sequences},
               {"tokens", sample.tokens},        {"context", sample.context},
               {"q_heads", sample.q_heads},      {"kv_heads", sample.kv_heads},
               {"head_dim", sample.head_dim}};
  write_placement(json, sample);
  write_timing(json, sample);
  write_power(json, sample);
  return json;
}

Json write(const ExpertSample& sample) {
  Json json = {{"dtype", name_of(sample.dtype)}, {"tokens", sample.tokens}, {"hidden", sample.hidden},
               {"ffn", sample.ffn},              {"top_k", sample.top_k},   {"experts", sample.experts},
               {"held", sample.held}};
  write_timing(json, sample);
  return json;
}

Json write(const StreamSample& sample) {
  Json json = {{"op", sample.op}, {"bytes", sample.bytes.value()}};
  write_placement(json, sample);
  write_timing(json, sample);
  return json;
}

Json write(const CollectiveSample& sample) {
  Json json = {{"op", sample.op},
               {"backend", sample.backend},
               {"ranks", sample.ranks},
               {"bytes", sample.bytes.value()}};
  write_timing(json, sample);
  return json;
}

Json write(const StageSample& sample) {
  Json ranks = Json::array();
  for (const StageRank& rank : sample.ranks) {
    ranks.push_back({{"q_heads", rank.q_heads},
                     {"kv_heads", rank.kv_heads},
                     {"ffn", rank.ffn},
                     {"threads", rank.threads}});
    if (rank.experts > 0) ranks.back().update({{"experts", rank.experts}, {"expert_ffn", rank.expert_ffn}});
  }
  Json json = {{"weight_dtype", name_of(sample.weight_dtype)},
               {"kv_dtype", name_of(sample.kv_dtype)},
               {"hidden", sample.hidden},
               {"head_dim", sample.head_dim},
               {"ranks", ranks},
               {"stages_at_once", sample.stages_at_once},
               {"layers", sample.layers},
               {"sequences", sample.sequences},
               {"tokens", sample.tokens},
               {"context", sample.context}};
  write_timing(json, sample);
  return json;
}

Json write(const PowerSample& sample) {
  return {{"load", sample.load},
          {"sequences", sample.sequences},
          {"tokens", sample.tokens},
          {"power_w", sample.power.value()},
          {"flop_per_s", sample.flop_rate.value()},
          {"bytes_per_s", sample.byte_rate.value()},
          {"window_s", sample.window.count()}};
}

Json write(const IntervalFactor& factor) {
  return {{"metric", factor.metric}, {"factor", factor.factor}, {"points", factor.points}};
}

void read(JsonObject& object, GemmSample& sample) {
  sample.dtype = read_dtype(object);
  sample.m = object.integer("m", 1);
  sample.n = object.integer("n", 1);
  sample.k = object.integer("k", 1);
  read_placement(object, sample);
  read_timing(object, sample);
  read_power(object, sample);
}

void read(JsonObject& object, AttentionSample& sample) {
  sample.dtype = read_dtype(object);
  sample.sequences = object.integer("sequences", 1);
  sample.tokens = object.integer("tokens", 1);
  sample.context = object.integer("context", 0);
  sample.q_heads = object.integer("q_heads", 1);
  sample.kv_heads = object.integer("kv_heads", 1);
  sample.head_dim = object.integer("head_dim", 1);
  read_placement(object, sample);
  read_timing(object, sample);
  read_power(object, sample);
}

void read(JsonObject& object, ExpertSample& sample) {
  sample.dtype = read_dtype(object);
  sample.tokens = object.integer("tokens", 1);
  sample.hidden = object.integer("hidden", 1, kWidest);
  sample.ffn = object.integer("ffn", 1, kWidest);
  sample.experts = object.integer("experts", 1, kWidest);
  sample.top_k = object.integer("top_k", 1, sample.experts);
  sample.held = object.integer("held", 1, sample.experts);
  read_timing(object, sample);
}

void read(JsonObject& object, StreamSample& sample) {
  sample.op = object.text("op");
  sample.bytes = Bytes{object.number("bytes", 0.0)};
  read_placement(object, sample);
  read_timing(object, sample);
}

void read(JsonObject& object, CollectiveSample& sample) {
  sample.op = object.text("op");
  sample.backend = object.text("backend");
  sample.ranks = read_count(object, "ranks");
  sample.bytes = Bytes{object.number("bytes", 0.0)};
  read_timing(object, sample);
}

void read(JsonObject& object, StageSample& sample) {
  sample.weight_dtype = read_dtype(object, "weight_dtype");
  sample.kv_dtype = read_dtype(object, "kv_dtype");
  // Bounded as models are: sim builds the batch that a sample describes.
  sample.hidden = object.integer("hidden", 1, kWidest);
  sample.head_dim = object.integer("head_dim", 1, kWidestHead);
  for (JsonObject& entry : object.objects("ranks")) {
    StageRank& rank = sample.ranks.emplace_back();
    rank.q_heads = entry.integer("q_heads", 0, kMostHeads);
    rank.kv_heads = entry.integer("kv_heads", 0, kMostHeads);
    rank.ffn = entry.integer("ffn", 0, kWidest);
    rank.threads = read_count(entry, "threads");
    if (entry.optional("experts")) {
      rank.experts = entry.integer("experts", 1, kMostExperts);
      rank.expert_ffn = entry.integer("expert_ffn", 0, kWidest);
    }
    entry.finish();
  }
  if (sample.ranks.empty()) object.fail("ranks", "expected at least one rank");
  sample.stages_at_once = read_count(object, "stages_at_once");
  sample.layers = object.integer("layers", 1, kMostLayers);
  sample.sequences = object.integer("sequences", 1, 1 << 20);
  sample.tokens = object.integer("tokens", 1, kMostPositions);
  sample.context = object.integer("context", 0, kMostPositions);
  read_timing(object, sample);
}

void read(JsonObject& object, PowerSample& sample) {
  sample.load = object.text("load");
  constexpr const char* kLoads[] = {"idle", "read", "matrix", "steps"};
  if (std::find(std::begin(kLoads), std::end(kLoads), sample.load) == std::end(kLoads))
    object.fail("load", "expected one of idle, read, matrix, steps, saw \"" + sample.load + "\"");
  sample.sequences = object.integer("sequences", 0, 1 << 20);
  sample.tokens = object.integer("tokens", 0, kMostPositions);
  sample.power = Watts{object.number("power_w", kPositive)};
  sample.flop_rate = FlopPerSecond{object.number("flop_per_s", 0.0)};
  sample.byte_rate = BytesPerSecond{object.number("bytes_per_s", 0.0)};
  sample.window = Seconds{object.number("window_s", kPositive)};
}

void read(JsonObject& object, IntervalFactor& factor) {
  factor.metric = object.text("metric");
  if (find_metric(factor.metric) == nullptr) object.fail("metric", "no metric is called \"" + factor.metric + "\"");
  constexpr double kMostFactor = 1e3;
  factor.factor = object.number("factor", 1.0, kMostFactor);
  factor.points = object.integer("points", 1);
}

template <class Sample>
Json write_all(const std::vector<Sample>& samples) {
  Json array = Json::array();
  for (const Sample& sample : samples) array.push_back(write(sample));
  return array;
}

template <class Sample>
void read_all(JsonObject& root, const std::string& key, std::vector<Sample>& samples) {
  for (JsonObject& object : root.objects(key)) {
    read(object, samples.emplace_back());
    object.finish();
  }
}

std::string canonical_text(const Profile& profile) {
  std::vector<double> by_threads;
  for (const BytesPerSecond rate : profile.read_bandwidth_by_threads) {
    by_threads.push_back(rate.value());
  }
  Json json = {{"format", kFormat},
               {"version", kVersion},
               {"device", profile.device},
               {"label", profile.label},
               {"source", profile.source},
               {"date", profile.date},
               {"git_revision", profile.git_revision},
               {"cores", profile.cores},
               {"memory_bytes", profile.memory.value()},
               {"matrix_rate_flop_per_s", profile.matrix_rate.value()},
               {"read_bandwidth_bytes_per_s", profile.read_bandwidth.value()},
               {"read_bandwidth_by_threads_bytes_per_s", by_threads},
               {"step_overhead_s", profile.step_overhead.count()},
               {"step_overhead_spread", profile.step_overhead_spread},
               {"per_sequence_overhead_s", profile.per_sequence_overhead.count()},
               {"gemm", write_all(profile.gemm)},
               {"attention", write_all(profile.attention)},
               {"stream", write_all(profile.stream)},
               {"collectives", write_all(profile.collectives)}};
  if (profile.compute_capability > 0) json["compute_capability"] = profile.compute_capability;
  for (const auto& [dtype, rate] : profile.matrix_rates) {
    json["matrix_rates_flop_per_s"][std::string(name_of(dtype))] = rate.value();
  }
  if (!profile.experts.empty()) json["experts"] = write_all(profile.experts);
  if (!profile.stages.empty()) json["stages"] = write_all(profile.stages);
  if (profile.power_limit.value() > 0.0) json["power_limit_w"] = profile.power_limit.value();
  if (!profile.power.empty()) json["power"] = write_all(profile.power);
  if (profile.power_spread > 0.0) json["power_spread"] = profile.power_spread;
  if (!profile.interval_factors.empty()) json["interval_factors"] = write_all(profile.interval_factors);
  try {
    return json.dump(1) + "\n";
  } catch (const nlohmann::json::exception& error) {  // text that is not UTF-8
    throw Error(ErrorKind::kInput, "profile", error.what());
  }
}

}  // namespace

std::string to_json(const Profile& profile) {
  std::string text = canonical_text(profile);
  // A profile that its own reader refuses (a time of zero, a rate that is not finite) must not
  // reach a file.
  static_cast<void>(profile_from_json(text, "profile"));
  return text;
}

Profile profile_from_json(std::string_view text, const std::string& where) {
  const nlohmann::json document = parse_json(text, where);
  JsonObject root(document, "", where);
  root.format(kFormat, kOldestVersion, kVersion);
  Profile profile;
  profile.device = root.text("device");
  profile.label = root.text("label");
  profile.source = root.text("source");
  profile.date = root.text("date");
  profile.git_revision = root.text("git_revision");
  profile.cores = read_count(root, "cores");
  profile.memory = Bytes{root.number("memory_bytes", kPositive)};
  profile.matrix_rate = FlopPerSecond{root.number("matrix_rate_flop_per_s", kPositive)};
  profile.read_bandwidth = BytesPerSecond{root.number("read_bandwidth_bytes_per_s", kPositive)};
  if (root.optional("compute_capability")) {
    profile.compute_capability = static_cast<int>(root.integer("compute_capability", 1, 1000));
  }
  if (root.optional("matrix_rates_flop_per_s")) {
    JsonObject rates = root.object("matrix_rates_flop_per_s");
    for (const std::string& name : rates.keys()) {
      const std::optional<Dtype> dtype = find_dtype(name);
      if (!dtype) rates.fail(name, "unknown number format");
      profile.matrix_rates.emplace(*dtype, rates.number(name, kPositive));
    }
  }
  for (const double rate : root.numbers("read_bandwidth_by_threads_bytes_per_s", kPositive)) {
    profile.read_bandwidth_by_threads.emplace_back(rate);
  }
  profile.step_overhead = Seconds{root.number("step_overhead_s", 0.0)};
  profile.step_overhead_spread = root.number("step_overhead_spread", 0.0);
  profile.per_sequence_overhead = Seconds{root.number("per_sequence_overhead_s", 0.0)};
  read_all(root, "gemm", profile.gemm);
  read_all(root, "attention", profile.attention);
  read_all(root, "stream", profile.stream);
  read_all(root, "collectives", profile.collectives);
  if (root.optional("experts")) read_all(root, "experts", profile.experts);
  if (root.optional("stages")) read_all(root, "stages", profile.stages);
  if (root.optional("power_limit_w")) profile.power_limit = Watts{root.number("power_limit_w", kPositive)};
  if (root.optional("power")) read_all(root, "power", profile.power);
  if (root.optional("power_spread")) profile.power_spread = root.number("power_spread", 0.0);
  if (root.optional("interval_factors")) read_all(root, "interval_factors", profile.interval_factors);
  root.finish();
  return profile;
}

std::string digest(const Profile& profile) { return digest_of_text(canonical_text(profile)); }

}  // namespace lindos
