// SPDX-License-Identifier: Apache-2.0
#include "sim/training/published_rows.h"

#include <utility>

#include "scenarios/csv_reader.h"
#include "scenarios/text_file.h"

namespace lindos::sim {

std::optional<Seconds> PublishedRow::step_time() const {
  if (step) return step;
  if (!tokens_per_second || !global_batch || !sequence) return std::nullopt;
  return Seconds(static_cast<double>(*global_batch * *sequence) / *tokens_per_second);
}

std::vector<PublishedRow> parse_published_rows(std::string_view text, const std::string& where) {
  CsvTable table(where, text,
                 {"id",  "group",  "software", "model", "gpu", "precision", "recompute", "FSDP", "strict", "n_gpus", "gbs",
                  "seq_len", "mbs", "TP", "PP", "CP", "VP", "DP", "EP", "step_time_s", "tokens_per_s"});
  std::vector<PublishedRow> rows;
  while (table.next()) {
    PublishedRow row;
    row.where = table.where();
    row.id = table.text("id");
    row.group = table.text("group");
    row.software = table.text("software");
    row.model = table.text("model");
    row.gpu = table.text("gpu");
    row.precision = table.text("precision");
    row.recompute = table.text("recompute");
    row.sharding = table.text("FSDP");
    row.grade = table.text("strict");
    row.devices = table.count("n_gpus");
    row.global_batch = table.count("gbs");
    row.sequence = table.count("seq_len");
    row.micro_batch = table.count("mbs");
    row.tensor = table.count("TP");
    row.pipeline = table.count("PP");
    row.context = table.count("CP");
    row.chunks = table.count("VP");
    row.data = table.count("DP");
    row.expert = table.count("EP");
    if (const auto seconds = table.number("step_time_s")) row.step = Seconds(*seconds);
    row.tokens_per_second = table.number("tokens_per_s");
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<PublishedRow> read_published_rows(const std::filesystem::path& path) {
  return parse_published_rows(read_text_file(path, path.string()), path.string());
}

}  // namespace lindos::sim
