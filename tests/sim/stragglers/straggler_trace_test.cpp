// SPDX-License-Identifier: Apache-2.0
// Recorded traces at the door: what is read, and every refusal with its place.
#include "sim/stragglers/straggler_trace.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "scenarios/error.h"
#include "sim/stragglers/step_graph.h"
#include "scenarios/trace_lines.h"
#include "sim/stragglers/trace_meta.h"
#include "tests/sim/stragglers/recorded_job.h"

namespace lindos::sim {
namespace {

using recorded::Job;
using recorded::parse;
using ::testing::HasSubstr;

// Two data ranks, one stage, two micro-batches, two steps. Each rank and step has 5 rows, so row r
// of data rank d in the n-th step stands in line 2 + 10 n + 5 d + r.
std::string sound() {
  Job job(1);
  for (const std::int64_t step : {3, 8}) {
    job.step(step);
    for (int rank = 0; rank < 2; ++rank) {
      job.pass(rank, 0, false, 0, 0, 0.0, 1.0);
      job.pass(rank, 0, false, 0, 1, 1.0, 1.0);
      job.pass(rank, 0, true, 0, 0, 2.0, 2.0);
      job.pass(rank, 0, true, 0, 1, 4.0, 2.0);
      job.op(rank, 0, "optimizer", 6.0, 0.5);
    }
  }
  return job.csv();
}

std::string with(std::string text, const std::string& old, const std::string& fresh) {
  const std::size_t at = text.find(old);
  EXPECT_NE(at, std::string::npos) << old;
  return text.replace(at, old.size(), fresh);
}

std::string complaint(const std::string& csv, const TraceDegrees& degrees = {}) {
  try {
    const StragglerTrace trace = parse(csv, degrees);
    (void)build_step_graph(trace);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInput);
    return e.what();
  }
  return "accepted";
}

TEST(StragglerTrace, IsAGridOfOpsOverRanksAndSteps) {
  const StragglerTrace trace = parse(sound());
  EXPECT_EQ(trace.data, 2);
  EXPECT_EQ(trace.pipeline, 1);
  EXPECT_EQ(trace.virtual_stages, 1);
  EXPECT_EQ(trace.micro_batches, 2);
  EXPECT_EQ(trace.steps, (std::vector<std::int64_t>{3, 8}));
  EXPECT_EQ(trace.ranks, (std::vector<std::int64_t>{0, 1}));
  EXPECT_EQ(trace.lanes(), 4U);
  EXPECT_EQ(trace.rows(), 20U);
  EXPECT_EQ(trace.ops.size(), 5U);
  EXPECT_EQ(trace.label(1), "forward-compute 1 of stage 0");
  EXPECT_EQ(trace.lane_label(3), "dp_rank 1, step 8");
  EXPECT_EQ(trace.line[1 * 4 + 3], 18);  // 2 + 10 + 5 + 1
}

TEST(StragglerTrace, ColumnsComeInAnyOrderAndOthersAreIgnored) {
  const std::string csv =
      "host,optype,gmc,mb_id,mc,seq_id,duration,start_ts,step,rank,stage,dp_rank\r\n"
      "n1,forward-compute,0,0,0,0,1,0,1,0,0,0\r\n"
      "n1,backward-compute,0,0,0,0,2,1,1,0,0,0\r\n"
      "n1,optimizer,,,,0,1,3,1,0,0,0";
  const StragglerTrace trace = parse(csv);
  EXPECT_EQ(trace.rows(), 3U);
  EXPECT_EQ(trace.end(2, 0), Seconds(4));
}

TEST(StragglerTrace, RefusesRowsThatCannotBe) {
  EXPECT_EQ(complaint(sound()), "accepted");
  struct Case {
    const char* old;
    const char* fresh;
    std::vector<std::string> parts;
  };
  const std::vector<Case> cases = {
      {"optype",
       "op_type",
       {"trace.csv:1: no column \"optype\" (is it \"op_type\"?)", "dp_rank, stage"}},
      {"mb_id", "mb", {"trace.csv:1: no column \"mb_id\"", "seq_id, mc, mb_id, gmc"}},
      {",rank,", ",rank,rank,", {"trace.csv:1: column \"rank\" stands twice"}},
      {"1,0,1,3,optimizer",
       "1,0,1,3,optimiser",
       {"trace.csv:11: unknown optype \"optimiser\", did you mean \"optimizer\"?"}},
      {"0,0,0,3,optimizer,6,0.5",
       "0,0,0,3,optimizer,6,-0.5",
       {"trace.csv:6: duration: expected 0 s or more, saw -0.5"}},
      {"0,0,0,3,optimizer,6,0.5",
       "0,0,0,3,optimizer,6,nan",
       {"trace.csv:6: duration: expected a finite number", "\"nan\""}},
      {"0,0,0,3,optimizer,6,0.5",
       "0,0,0,3,optimizer,inf,0.5",
       {"trace.csv:6: start_ts: expected a finite number"}},
      {"0,0,0,3,optimizer,6,0.5", "0,0,0,3,optimizer,,0.5", {"trace.csv:6: start_ts:", "saw \"\""}},
      {"0,0,0,3,optimizer",
       "0,0,0,3.5,optimizer",
       {"trace.csv:6: step: expected an integer of at least 0, saw \"3.5\""}},
      {"0,0,0,3,optimizer",
       "-1,0,0,3,optimizer",
       {"trace.csv:6: dp_rank: expected an integer of at least 0, saw \"-1\""}},
      {"0,0,0,3,optimizer,6,0.5,0,",
       "0,0,0,3,optimizer,6,0.5,99999999999,",
       {"trace.csv:6: seq_id:"}},
      {"optimizer,6,0.5,0,-1,-1,-1",
       "optimizer,6,0.5,0,-1,-1",
       {"trace.csv:6: expected 11 fields as in the header, saw 10"}},
  };
  for (const Case& c : cases) {
    const std::string said = complaint(with(sound(), c.old, c.fresh));
    for (const std::string& part : c.parts) EXPECT_THAT(said, HasSubstr(part));
  }
  EXPECT_THAT(complaint(""), HasSubstr("trace.csv: empty"));
  EXPECT_THAT(complaint(recorded::kHeader), HasSubstr("trace.csv: no rows"));
  EXPECT_THAT(complaint(std::string(5000, 'x')),
              HasSubstr("trace.csv:1: a line of more than 4096 bytes"));
}

TEST(StragglerTrace, RefusesWhatIsMissingOrTwice) {
  const auto without = [](const std::string& row) {
    std::string text = sound();
    const std::size_t at = text.find("\n" + row);
    EXPECT_NE(at, std::string::npos) << row;
    return text.erase(at, text.find('\n', at + 1) - at);
  };
  const auto without_all = [](const std::string& start) {
    std::istringstream in(sound());
    std::string kept, line;
    while (std::getline(in, line)) kept += line.starts_with(start) ? "" : line + "\n";
    return kept;
  };
  const std::string doubled = sound() + "0,0,0,8,optimizer,6,0.5,0,-1,-1,-1\n";
  EXPECT_THAT(complaint(doubled), HasSubstr("trace.csv:22: optimizer 0 of stage 0 of dp_rank 0, "
                                            "step 8 stands twice; first in line 16"));
  EXPECT_THAT(complaint(without("1,0,1,8,optimizer")),
              HasSubstr("optimizer 0 of stage 0 is recorded for 3 of 4 ranks and steps; missing "
                        "for dp_rank 1, step 8"));
  EXPECT_THAT(complaint(without("1,0,1,3,forward-compute,1")),
              HasSubstr("missing for dp_rank 1, step 3"));
  EXPECT_THAT(complaint(without_all("1,0,1,3")),
              HasSubstr("step 3 lacks every op of dp_rank 1, stage 0"));
  EXPECT_THAT(complaint(with(sound(), "1,0,1,3,optimizer", "3,0,1,3,optimizer")),
              HasSubstr("dp_rank 2 is missing: the rows go up to 3"));
  // A rank that no row mentions is known from the degrees only.
  TraceDegrees three;
  three.data = 3;
  three.source = "meta.yaml";
  EXPECT_THAT(complaint(sound(), three),
              HasSubstr("dp_rank 2 is missing: meta.yaml says 3, the rows have 2"));
  three.data = 1;
  EXPECT_THAT(complaint(sound(), three), HasSubstr("dp_rank 1: meta.yaml says 1"));
  three.data = 2;
  three.virtual_stages = 2;
  EXPECT_THAT(complaint(sound(), three),
              HasSubstr("1 model chunks (mc) per stage, meta.yaml says 2"));
}

TEST(StragglerTrace, RefusesRanksInTwoPlaces) {
  EXPECT_THAT(complaint(with(sound(), "1,0,1,3,optimizer", "1,0,4,3,optimizer")),
              HasSubstr("trace.csv:11: rank 4: dp_rank 1, stage 0 is rank 1"));
  Job job(2);  // ranks 0 and 1, then both called 0
  for (int stage = 0; stage < 2; ++stage) {
    job.pass(0, stage, false, 0, 0, 0, 1);
    job.pass(0, stage, true, 0, 0, 1, 1);
    job.op(0, stage, "optimizer", 2, 1);
  }
  std::string csv = job.csv();
  for (std::size_t at; (at = csv.find("0,1,1,1,")) != std::string::npos;)
    csv.replace(at, 8, "0,1,0,1,");
  EXPECT_THAT(complaint(csv),
              HasSubstr("rank 0 is at dp_rank 0, stage 1 here, elsewhere in line 2"));
}

TEST(StragglerTrace, RefusesMissingMicroBatches) {
  Job job(2);
  for (int stage = 0; stage < 2; ++stage) {
    job.pass(0, stage, false, 0, 0, 0, 1);
    if (stage == 0) job.pass(0, stage, false, 0, 5, 1, 1);
    job.pass(0, stage, true, 0, 0, 2, 1);
    if (stage == 0) job.pass(0, stage, true, 0, 5, 3, 1);
    job.op(0, stage, "optimizer", 9, 1);
  }
  EXPECT_THAT(
      complaint(job.csv()),
      HasSubstr("micro-batch 5 of chunk 0 is missing: stage 1 has no forward-compute of it"));
  const std::string again =
      with(sound(), "0,0,0,3,forward-compute,1,1,1,0,1,0", "0,0,0,3,forward-compute,1,1,1,0,0,0");
  EXPECT_THAT(complaint(again), HasSubstr("trace.csv:3: forward-compute 1 of stage 0: micro-batch "
                                          "0 of chunk 0 a second time; first in line 2"));
  EXPECT_THAT(complaint(with(sound(), "0,0,0,3,forward-compute,1,1,1,0,1,0",
                             "0,0,0,3,forward-compute,1,1,1,2,1,0")),
              HasSubstr("model chunks (mc) leave a gap"));
  Job elsewhere(1);
  elsewhere.op(0, 0, "forward-compute", 0, 1, 0, 0, 7);
  elsewhere.op(0, 0, "backward-compute", 1, 1, 0, 0, 7);
  EXPECT_THAT(complaint(elsewhere.csv()),
              HasSubstr("trace.csv:2: gmc: forward-compute 0 of stage 0 needs its chunk of the "
                        "model, from 0 to 0, saw 7"));
}

TEST(StragglerTrace, RefusesTimesThatContradictEachOther) {
  EXPECT_THAT(
      complaint(with(sound(), "1,0,1,8,forward-compute,1,1,1", "1,0,1,8,forward-compute,-0.5,1,1")),
      HasSubstr("trace.csv:18: dp_rank 1, step 8: time goes back: forward-compute 1 of stage 0 "
                "starts at -0.5 s"));
  // 2.5 s into the backward pass that starts at 2 s in line 14.
  const std::string overlapping =
      with(sound(), "0,0,0,8,backward-compute,4,2,1", "0,0,0,8,backward-compute,3.5,2,1");
  EXPECT_THAT(complaint(overlapping),
              HasSubstr("trace.csv:15: dp_rank 0, step 8: backward-compute 1 of stage 0 starts at 3.5 s and "
                        "overlaps backward-compute 0 of stage 0 (line 14), which ends at 4 s, by 0.5 s"));
  // Clocks of hosts disagree by less than that.
  EXPECT_EQ(complaint(with(sound(), "0,0,0,8,backward-compute,4,2,1",
                           "0,0,0,8,backward-compute,3.999,2,1")),
            "accepted");
}

// Two stages, two micro-batches, with sends and receives. Lines of stage 0: 2 F0, 3 its send, 4 F1, 5 its send,
// 6 receive, 7 B0, 8 receive, 9 B1, 10 optimizer.
std::string two_stages() {
  Job job(2);
  for (int i = 0; i < 2; ++i) {
    job.pass(0, 0, false, 0, i, i, 0.75);
    job.op(0, 0, "forward-send", i + 0.75, 0.25);
  }
  for (int i = 0; i < 2; ++i) {
    job.op(0, 0, "backward-recv", 4 + 2 * i, 0.25);
    job.pass(0, 0, true, 0, i, 4.25 + 2 * i, 0.75);
  }
  job.op(0, 0, "optimizer", 8, 0.5);
  for (int i = 0; i < 2; ++i) {
    job.op(0, 1, "forward-recv", i + 0.75, 0.25);
    job.pass(0, 1, false, 0, i, i + 1, 0.75);
  }
  for (int i = 0; i < 2; ++i) {
    job.pass(0, 1, true, 0, i, 3.25 + 2 * i, 0.75);
    job.op(0, 1, "backward-send", 4 + 2 * i, 0.25);
  }
  job.op(0, 1, "optimizer", 8, 0.5);
  return job.csv();
}

// A pass or send that is too long is named, not what it does to the count of transfers.
TEST(StragglerTrace, NamesAnOverlapBeforeTransfersThatDoNotPair) {
  ASSERT_EQ(complaint(two_stages()), "accepted");
  struct Case {
    const char* old;
    const char* fresh;
    const char* said;
  };
  const Case cases[] = {
      // 50 ms past the start of the next pass, and 5 s.
      {"forward-compute,0,0.75,0", "forward-compute,0,1.05,0",
       "trace.csv:4: dp_rank 0, step 1: forward-compute 1 of stage 0 starts at 1 s and overlaps forward-compute 0 of "
       "stage 0 (line 2), which ends at 1.05 s, by 0.05 s"},
      {"forward-compute,0,0.75,0", "forward-compute,0,5,0",
       "trace.csv:4: dp_rank 0, step 1: forward-compute 1 of stage 0 starts at 1 s and overlaps forward-compute 0 of "
       "stage 0 (line 2), which ends at 5 s, by 4 s"},
      {"forward-compute,1,0.75,1", "forward-compute,1,5,1",
       "trace.csv:7: dp_rank 0, step 1: backward-compute 0 of stage 0 starts at 4.25 s and overlaps forward-compute 1"},
      {"backward-compute,6.25,0.75,1", "backward-compute,6.25,5,1",
       "trace.csv:10: dp_rank 0, step 1: optimizer 0 of stage 0 starts at 8 s and overlaps backward-compute 1"},
      {"forward-send,0.75,0.25,0", "forward-send,0.75,5,0",
       "trace.csv:5: dp_rank 0, step 1: forward-send 1 of stage 0 starts at 1.75 s and overlaps forward-send 0 of "
       "stage 0 (line 3), which ends at 5.75 s, by 4 s"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.fresh);
    EXPECT_THAT(complaint(with(two_stages(), c.old, c.fresh)), HasSubstr(c.said));
  }
}

TEST(StragglerTrace, RefusesASendThatEndsBeforeItsPass) {
  // Of the first pass, where it looks like a record of nothing, and of a later one.
  EXPECT_THAT(complaint(with(two_stages(), "forward-send,0.75,0.25,0", "forward-send,0.5,0.125,0")),
              HasSubstr("trace.csv:3: dp_rank 0, step 1: forward-send 0 of stage 0 ends at 0.625 s, 0.125 s before its "
                        "pass does: forward-compute 0 of stage 0 (line 2) ends at 0.75 s"));
  EXPECT_THAT(complaint(with(two_stages(), "forward-send,1.75,0.25,1", "forward-send,1.25,0.25,1")),
              HasSubstr("trace.csv:5: dp_rank 0, step 1: forward-send 1 of stage 0 ends at 1.5 s, 0.25 s before its "
                        "pass does: forward-compute 1 of stage 0 (line 4) ends at 1.75 s"));
}

TEST(StragglerTrace, RefusesTransfersWithoutPeer) {
  Job job(2);
  job.pass(0, 0, false, 0, 0, 0, 1);
  job.op(0, 0, "forward-send", 1, 0);
  job.pass(0, 0, true, 0, 0, 4, 1);
  job.op(0, 0, "optimizer", 5, 1);
  job.pass(0, 1, false, 0, 0, 1, 1);
  job.pass(0, 1, true, 0, 0, 2, 1);
  job.op(0, 1, "optimizer", 3, 1);
  EXPECT_THAT(complaint(job.csv()), HasSubstr("trace.csv:3: dp_rank 0, step 1: stage 0 has 1 "
                                              "forward-send ops, stage 1 has 0 forward-recv ops"));
}

TEST(StragglerTrace, RefusesStepsWithoutOptimizer) {
  Job job(1);
  job.pass(0, 0, false, 0, 0, 0, 1);
  job.pass(0, 0, true, 0, 0, 1, 1);
  EXPECT_THAT(complaint(job.csv()), HasSubstr("no optimizer op"));
}

// Each stage recorded as waiting for the other.
TEST(StragglerTrace, RefusesAnOrderThatContradictsItself) {
  Job job(2);
  job.pass(0, 0, true, 0, 0, 0, 1);  // backward before forward
  job.op(0, 0, "backward-recv", 0, 0);
  job.pass(0, 0, false, 0, 0, 1, 1);
  job.op(0, 0, "forward-send", 2, 0);
  job.op(0, 0, "optimizer", 5, 1);
  job.pass(0, 1, false, 0, 0, 2, 1);
  job.op(0, 1, "forward-recv", 2, 0);
  job.pass(0, 1, true, 0, 0, 3, 1);
  job.op(0, 1, "backward-send", 4, 0);
  job.op(0, 1, "optimizer", 5, 1);
  EXPECT_THAT(complaint(job.csv()), HasSubstr("contradicts itself"));
}

std::string gzipped(const std::string& text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY),
            Z_OK);
  std::string out(deflateBound(&stream, text.size()), '\0');
  std::string in = text;
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

TEST(TraceLines, GzipIsRecognisedAndBrokenGzipRefused) {
  const std::string packed = gzipped(sound());
  EXPECT_EQ(parse(packed).rows(), 20U);
  const std::size_t half = sound().size() / 2;
  EXPECT_EQ(parse(gzipped(sound().substr(0, half)) + gzipped(sound().substr(half))).rows(), 20U);
  EXPECT_THAT(complaint(packed.substr(0, packed.size() - 9)),
              HasSubstr("trace.csv: the gzip stream is cut short"));
  EXPECT_THAT(complaint(packed.substr(0, 2)), HasSubstr("cut short after line 0"));
  std::string corrupt = packed;
  corrupt[corrupt.size() / 2] = static_cast<char>(corrupt[corrupt.size() / 2] ^ 0x55);
  EXPECT_THAT(complaint(corrupt), HasSubstr("trace.csv"));
}

// Lines and pieces of the reader meet at every offset; the text is larger than both its buffers.
TEST(TraceLines, GiveTheSameLinesPlainAndPacked) {
  std::string text;
  std::vector<std::string> expected;
  for (int i = 0; i < 3000; ++i) {
    expected.push_back(
        std::string(static_cast<std::size_t>(i * 37 % 211), static_cast<char>('a' + i % 26)));
    text += expected.back() + '\n';
  }
  for (const std::string& bytes : {text, gzipped(text)}) {
    std::istringstream in(bytes);
    TraceLines lines(in, "text");
    std::vector<std::string> seen;
    std::string_view line;
    while (lines.next(line)) seen.emplace_back(line);
    EXPECT_EQ(seen, expected);
    EXPECT_EQ(lines.number(), 3000);
  }
}

TEST(TraceMeta, GivesTheDegrees) {
  const TraceDegrees d = parse_trace_meta(
      "---\n# job\ntrial_name: AR\nrun_id: 0\ndp_size: 4\ndsp_size: 1\npp_size: 2  # "
      "stages\ntp_size: 8\nvpp_size: 3\nworld_size: 64\n",
      "meta.yaml");
  EXPECT_EQ(d.data, 4);
  EXPECT_EQ(d.pipeline, 2);
  EXPECT_EQ(d.virtual_stages, 3);
  EXPECT_EQ(d.source, "meta.yaml");
  EXPECT_EQ(parse_trace_meta("pp_size: 2", "m").data, 1);
}

TEST(TraceMeta, RefusesWhatItDoesNotKnow) {
  const auto said = [](const std::string& text) -> std::string {
    try {
      (void)parse_trace_meta(text, "meta.yaml");
    } catch (const Error& e) {
      return e.what();
    }
    return "accepted";
  };
  EXPECT_THAT(said("dp_size: 4\nppsize: 2\n"),
              HasSubstr("meta.yaml:2: unknown key, did you mean \"pp_size\"?"));
  EXPECT_THAT(said("dp_size: four\n"),
              HasSubstr("meta.yaml:1: dp_size: expected a positive integer"));
  EXPECT_THAT(said("dp_size: 0\n"), HasSubstr("meta.yaml:1: dp_size: expected a positive integer"));
  EXPECT_THAT(said("dp_size 4\n"), HasSubstr("meta.yaml:1: expected \"key: value\""));
  EXPECT_THAT(said("dp_size: 4\ndp_size: 4\n"), HasSubstr("meta.yaml:2: dp_size stands twice"));
  EXPECT_THAT(said("dp_size: 4\npp_size: 4\nworld_size: 15\n"), HasSubstr("world_size is 15"));
}

TEST(TraceMeta, LiesBesideItsTrace) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / "trace-meta-test";
  std::filesystem::create_directories(folder);
  EXPECT_FALSE(find_trace_meta(folder / "trace-X.csv.gz"));
  std::ofstream(folder / "meta-X.yaml") << "dp_size: 1\n";
  for (const char* name : {"trace-X.csv.gz", "trace-X.csv"})
    EXPECT_EQ(find_trace_meta(folder / name), folder / "meta-X.yaml");
  EXPECT_FALSE(find_trace_meta(folder / "other-X.csv"));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace lindos::sim
