// SPDX-License-Identifier: Apache-2.0
#include "scenarios/request_trace.h"

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "scenarios/error.h"
#include "scenarios/trace_lengths.h"
#include "scenarios/trace_time.h"

namespace lindos {
namespace {

using ::testing::HasSubstr;

std::vector<TraceRow> rows_of(const std::string& text, TraceFormat format) {
  std::istringstream in(text);
  TraceReader reader(in, format, "trace");
  std::vector<TraceRow> rows;
  while (const std::optional<TraceRow> row = reader.next()) rows.push_back(*row);
  return rows;
}

// The complaint about a text, "" when there is none.
std::string complaint(const std::string& text, TraceFormat format) {
  try {
    static_cast<void>(rows_of(text, format));
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInput);
    return e.where() + ": " + e.what();
  }
  return "";
}

std::string packed(const std::string& text) {
  std::string out(compressBound(text.size()) + 64, '\0');
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string input = text;
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

const std::string kAzure =
    "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
    "2023-11-16 18:15:46.6805900,374,44\r\n"
    "2023-11-16 18:15:50.9951690,396,109";
const std::string kCsv = "id,arrival_s,prompt_tokens,output_tokens,user\n1,0.5,10,3,\"a,\"\"b\"\n7,2,20,4,\n";

TEST(RequestTrace, ReadsAzure) {
  // 50.9951690 − 46.6805900 s.
  EXPECT_EQ(rows_of(kAzure, TraceFormat::kAzure),
            (std::vector<TraceRow>{{0, 374, 44}, {4'314'579'000, 396, 109}}));
}

TEST(RequestTrace, ReadsBurstGptAndLeavesFailuresOut) {
  const std::string text =
      "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
      "5,ChatGPT,472,18,490,Conversation log\n"
      "45,ChatGPT,1087,0,1087,API log\n"
      "118,GPT-4,417,276,693,Conversation log\n";
  std::istringstream in(text);
  TraceReader reader(in, TraceFormat::kBurstGpt, "trace");
  EXPECT_EQ(reader.next(), (TraceRow{0, 472, 18}));
  EXPECT_EQ(reader.next(), (TraceRow{113'000'000'000, 417, 276}));
  EXPECT_EQ(reader.next(), std::nullopt);
  EXPECT_EQ(reader.left_out(), 1);
}

TEST(RequestTrace, ReadsMooncakeWithTheBlocksOfAPrompt) {
  const std::string text =
      R"({"timestamp": 27, "input_length": 513, "output_length": 5, "hash_ids": [0, 1]})" "\n"
      R"({"timestamp": 3027, "input_length": 512, "output_length": 9, "hash_ids": [46]})" "\n";
  EXPECT_EQ(rows_of(text, TraceFormat::kMooncake),
            (std::vector<TraceRow>{{0, 513, 5, {0, 1}}, {3'000'000'000, 512, 9, {46}}}));
}

TEST(RequestTrace, ReadsPlainRowsInEitherSyntax) {
  const std::vector<TraceRow> expected{{0, 10, 3}, {1'500'000'000, 20, 4}};
  EXPECT_EQ(rows_of(kCsv, TraceFormat::kCsv), expected);
  EXPECT_EQ(rows_of("{\"arrival_s\": 0.5, \"prompt_tokens\": 10, \"output_tokens\": 3, \"user\": {\"a\": [1]}}\n"
                    "{\"id\": 9, \"arrival_s\": 2, \"prompt_tokens\": 20, \"output_tokens\": 4}\n\n",
                    TraceFormat::kJsonl),
            expected);
}

// Short fields lie inside their strings: one that moves when the next is read would leave a view on nothing.
TEST(RequestTrace, EveryFieldOfARowMayBeQuoted) {
  EXPECT_EQ(rows_of("\"arrival_s\",\"prompt_tokens\",\"output_tokens\"\n\"0.5\",\"10\",\"3\"\n", TraceFormat::kCsv),
            rows_of("arrival_s,prompt_tokens,output_tokens\n0.5,10,3\n", TraceFormat::kCsv));
}

TEST(RequestTrace, PackedAndPlainAreTheSameTrace) {
  const auto digest = [](const std::string& text) {
    std::istringstream in(text);
    TraceReader reader(in, TraceFormat::kAzure, "trace");
    while (reader.next()) continue;
    return reader.digest();
  };
  EXPECT_EQ(rows_of(packed(kAzure), TraceFormat::kAzure), rows_of(kAzure, TraceFormat::kAzure));
  EXPECT_EQ(digest(packed(kAzure)), digest(kAzure));
  std::string other = kAzure;
  other.back() = '8';
  EXPECT_NE(digest(other), digest(kAzure));
}

TEST(RequestTrace, NamesTheLineOfWhatIsNoRow) {
  const std::string header = "arrival_s,prompt_tokens,output_tokens\n";
  const auto csv = [&](const std::string& rows) { return complaint(header + rows, TraceFormat::kCsv); };
  EXPECT_EQ(csv("1,2,3\n2,3,4\n"), "");
  EXPECT_THAT(csv("5,2,3\n4.5,2,3\n"), HasSubstr("trace:3: column \"arrival_s\": 4.5 is before the last row's 5"));
  EXPECT_THAT(csv("-1,2,3\n"), HasSubstr("trace:2: column \"arrival_s\": -1 is before the beginning"));
  EXPECT_THAT(csv("1,-2,3\n"), HasSubstr("trace:2: column \"prompt_tokens\": expected a whole number from 1"));
  EXPECT_THAT(csv("1,2,0\n"),
              HasSubstr("column \"output_tokens\": expected a whole number from 1 to 1000000000, saw 0"));
  EXPECT_THAT(csv("1,99999999999999999999,3\n"), HasSubstr("saw 99999999999999999999"));
  EXPECT_THAT(csv("1e300,2,3\n"), HasSubstr("expected seconds such as 12.5, saw \"1e300\""));
  EXPECT_THAT(csv("nan,2,3\n"), HasSubstr("saw \"nan\""));
  EXPECT_THAT(csv("1,2.5,3\n"), HasSubstr("saw \"2.5\""));
  EXPECT_THAT(csv("1,2\n"), HasSubstr("trace:2: expected 3 columns as in the header, saw 2"));
  EXPECT_THAT(csv("1,2,\"3\n"), HasSubstr("trace:2: a quote is not closed"));
  EXPECT_THAT(csv("1,2,3\n\n2,2,3\n"), HasSubstr("trace:4: an empty line before it"));
  EXPECT_THAT(complaint("arrival,prompt_tokens,output_tokens\n", TraceFormat::kCsv),
              HasSubstr("trace:1: expected a header with column \"arrival_s\" (did you mean \"arrival\"?)"));
  EXPECT_THAT(complaint("id," + header.substr(0, header.size() - 1) + "\n3,1,2,3\n3,1,2,3\n", TraceFormat::kCsv),
              HasSubstr("trace:3: column \"id\": 3 stands twice"));
  EXPECT_THAT(complaint(kAzure + "\n2023-11-16 18:15:50.9951690,396,109\n", TraceFormat::kAzure),
              HasSubstr("trace:4: the same row twice"));
  EXPECT_THAT(complaint(std::string(300'000, 'x'), TraceFormat::kCsv), HasSubstr("trace:1: a line of more than"));
}

TEST(RequestTrace, NamesTheLineOfBadJson) {
  const auto line = [](const std::string& text) { return complaint(text, TraceFormat::kMooncake); };
  EXPECT_THAT(line("{\"timestamp\": 0"), HasSubstr("trace:1: no JSON object"));
  EXPECT_THAT(line("[]"), HasSubstr("trace:1: expected an object"));
  EXPECT_THAT(line("7"), HasSubstr("trace:1: expected an object"));
  EXPECT_THAT(line(R"({"timestamp": 0, "input_length": [1], "output_length": 1})"),
              HasSubstr("key \"input_length\": expected a number, saw an array"));
  EXPECT_THAT(line(R"({"timestamp": 0, "input_lenght": 1, "output_length": 1})"),
              HasSubstr("expected key \"input_length\" (did you mean \"input_lenght\"?)"));
  EXPECT_THAT(line(R"({"timestamp": 0, "input_length": 600, "output_length": 1, "hash_ids": [4]})"),
              HasSubstr("600 tokens are 2 blocks of 512, saw 1 ids"));
  EXPECT_THAT(line(R"({"timestamp": 0, "input_length": 6, "output_length": 1, "hash_ids": [-4]})"),
              HasSubstr("expected whole numbers from 0 on, saw -4"));
  EXPECT_THAT(line(R"({"timestamp": 0, "timestamp": 0, "input_length": 6, "output_length": 1})"),
              HasSubstr("key \"timestamp\" stands twice"));
}

TEST(RequestTrace, AGzipStreamCutShortIsNamed) {
  std::string text = "arrival_s,prompt_tokens,output_tokens\n";
  for (int i = 0; i < 5000; ++i) text += std::to_string(i) + "," + std::to_string(i * 7919 % 1000 + 1) + ",5\n";
  const std::string whole = packed(text);
  EXPECT_EQ(rows_of(whole, TraceFormat::kCsv).size(), 5000U);
  EXPECT_THAT(complaint(whole.substr(0, whole.size() / 2), TraceFormat::kCsv), HasSubstr("cut short after line"));
}

TEST(RequestTrace, TheScanSumsUpAndHoldsRowsAgainstTheContext) {
  const std::string path = ::testing::TempDir() + "request_trace_test.csv";
  std::ofstream(path) << kCsv;
  const TraceSummary summary = scan_trace(path, TraceFormat::kCsv, 24);
  EXPECT_EQ(summary.rows, 2);
  EXPECT_EQ(summary.longest, 24);
  EXPECT_EQ(summary.shortest_prompt, 10);
  EXPECT_EQ(summary.longest_output, 4);
  EXPECT_EQ(summary.span_ns, 1'500'000'000);
  try {
    static_cast<void>(scan_trace(path, TraceFormat::kCsv, 23));
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.where(), path + ":3");
    EXPECT_THAT(e.what(), HasSubstr("24 tokens exceed the model's context of 23"));
  }
  std::ofstream(path) << "arrival_s,prompt_tokens,output_tokens\n";
  EXPECT_THROW(static_cast<void>(scan_trace(path, TraceFormat::kCsv, 0)), Error);
  EXPECT_THROW(static_cast<void>(scan_trace(path + ".none", TraceFormat::kCsv, 0)), Error);
}

TEST(RequestTrace, FittedLengthsAreTheTracesQuantiles) {
  const std::string path = ::testing::TempDir() + "trace_lengths_test.csv";
  std::ofstream out(path);
  out << "arrival_s,prompt_tokens,output_tokens\n";
  for (int i = 0; i <= 640; ++i) out << i << ',' << 641 - i << ",7\n";
  out.close();
  const TraceLengths lengths = fit_lengths(path, TraceFormat::kCsv);
  // Prompts are 1 … 641: the quantile at k/64 is 1 + 10 k.
  ASSERT_EQ(lengths.prompt.quantiles.size(), 65U);
  for (std::size_t k = 0; k < 65; ++k) EXPECT_EQ(lengths.prompt.quantiles[k], 1 + 10 * static_cast<std::int64_t>(k));
  EXPECT_EQ(lengths.output.low, 7);
  EXPECT_EQ(lengths.output.high, 7);
}

TEST(TraceTime, ReadsDatesAndUnits) {
  EXPECT_EQ(parse_trace_date("1970-01-02 00:00:01.5"), 86'401'500'000'000);
  EXPECT_EQ(parse_trace_date("2024-05-10T00:00:00.009930+00:00"), 1'715'299'200'009'930'000);
  EXPECT_EQ(parse_trace_date("2023-02-29 00:00:00"), std::nullopt);
  EXPECT_EQ(parse_trace_date("2023-02-28 24:00:00"), std::nullopt);
  EXPECT_EQ(parse_trace_date("2023-02-28 00:00:00.x"), std::nullopt);
  EXPECT_EQ(parse_trace_units("2.5", 1'000'000'000), 2'500'000'000);
  EXPECT_EQ(parse_trace_units("1e3", 1'000'000), 1'000'000'000);
  EXPECT_EQ(parse_trace_units("9223372036854775807", 1'000'000), std::nullopt);
  EXPECT_EQ(parse_trace_units("inf", 1), std::nullopt);
  EXPECT_EQ(parse_trace_units("", 1), std::nullopt);
}

std::vector<TraceRow> rows_of_tenants(const std::string& text, TraceFormat format) {
  std::istringstream in(text);
  TraceReader reader(in, format, "trace", {"batch", "chat"});
  std::vector<TraceRow> rows;
  while (const std::optional<TraceRow> row = reader.next()) rows.push_back(*row);
  return rows;
}

std::string complaint_about_tenants(const std::string& text, TraceFormat format) {
  try {
    static_cast<void>(rows_of_tenants(text, format));
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(RequestTrace, ReadsWhoseARequestIs) {
  const std::string csv = "arrival_s,prompt_tokens,output_tokens,tenant\n0,1,1,chat\n1,2,2,batch\n";
  const std::string json =
      "{\"arrival_s\":0,\"prompt_tokens\":1,\"output_tokens\":1,\"tenant\":\"chat\"}\n"
      "{\"arrival_s\":1,\"prompt_tokens\":2,\"output_tokens\":2,\"tenant\":\"batch\"}\n";
  const std::vector<TraceRow> expected = {{0, 1, 1, {}, 1}, {1'000'000'000, 2, 2, {}, 0}};
  EXPECT_EQ(rows_of_tenants(csv, TraceFormat::kCsv), expected);
  EXPECT_EQ(rows_of_tenants(json, TraceFormat::kJsonl), expected);
  // Who has no tenants skips the column, as any other.
  EXPECT_EQ(rows_of(csv, TraceFormat::kCsv), (std::vector<TraceRow>{{0, 1, 1}, {1'000'000'000, 2, 2}}));
}

TEST(RequestTrace, EveryRowNamesATenantThatThereIs) {
  EXPECT_EQ(complaint_about_tenants("arrival_s,prompt_tokens,output_tokens,tenant\n0,1,1,chat\n1,2,2,chta\n",
                                    TraceFormat::kCsv),
            "trace:3: column \"tenant\": the workload has no tenant \"chta\" (did you mean \"chat\"?)");
  EXPECT_EQ(complaint_about_tenants("arrival_s,prompt_tokens,output_tokens,tenants\n0,1,1,chat\n", TraceFormat::kCsv),
            "trace:1: expected a header with column \"tenant\" (did you mean \"tenants\"?)");
  EXPECT_EQ(complaint_about_tenants("{\"arrival_s\":0,\"prompt_tokens\":1,\"output_tokens\":1}\n", TraceFormat::kJsonl),
            "trace:1: expected key \"tenant\"");
  EXPECT_EQ(complaint_about_tenants("{\"arrival_s\":0,\"prompt_tokens\":1,\"output_tokens\":1,\"tenant\":[]}\n",
                                    TraceFormat::kJsonl),
            "trace:1: key \"tenant\": expected a name, saw an array");
}

}  // namespace
}  // namespace lindos
