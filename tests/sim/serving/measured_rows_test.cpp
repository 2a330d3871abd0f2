// SPDX-License-Identifier: Apache-2.0
#include "sim/serving/measured_rows.h"

#include <string>

#include <gtest/gtest.h>

#include "scenarios/error.h"

namespace lindos::sim {
namespace {

const std::string kHeader =
    "concurrency,backend,model_path,system,mode,isl,osl,gemm_quant_mode,moe_quant_mode,tp_size,attention_dp_size,"
    "batch_size,prefill_num_workers,prefill_tp_size,decode_num_workers,decode_tp_size,silicon_ttft_ms,"
    "silicon_tpot_ms\n";

std::string complaint(const std::string& row) {
  try {
    static_cast<void>(parse_measured_rows(kHeader + row, "m.csv"));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
  return "accepted";
}

TEST(MeasuredRows, AnAggregatedRow) {
  const auto rows = parse_measured_rows(
      kHeader + "64,vllm,meta-llama/Llama-3.1-70B,h100_sxm,agg,1024,512,fp8,,4,0,16,,,,,123.5,9.25\n", "m.csv");
  ASSERT_EQ(rows.size(), 1U);
  const MeasuredRow& row = rows.front();
  EXPECT_EQ(row.where, "m.csv:2");
  EXPECT_EQ(row.concurrency, 64);
  EXPECT_EQ(row.prompt, 1024);
  EXPECT_EQ(row.output, 512);
  EXPECT_FALSE(row.disaggregated());
  ASSERT_TRUE(row.aggregated.has_value());
  EXPECT_EQ(row.aggregated->tensor, 4);
  EXPECT_EQ(row.aggregated->attention_replicas, 1);  // 0 = not stated
  EXPECT_EQ(row.aggregated->batch, 16);
  EXPECT_DOUBLE_EQ(row.ttft->count(), 0.1235);
  EXPECT_DOUBLE_EQ(row.tpot->count(), 0.00925);
  EXPECT_EQ(row.family(), "h100_sxm · Llama-3.1-70B · fp8 · vllm");
}

TEST(MeasuredRows, ADisaggregatedRowHasTwoKindsOfWorkers) {
  const auto rows = parse_measured_rows(
      kHeader + ",trtllm,deepseek-ai/DeepSeek-R1,gb200,disagg,8192,1024,nvfp4,nvfp4,,,,2,4,3,8,,7\n"
                ",trtllm,deepseek-ai/DeepSeek-R1,gb200,disagg,8192,1024,nvfp4,nvfp4,,,,2,4,,8,,7\n", "m.csv");
  EXPECT_FALSE(rows.back().decode->workers_stated);
  EXPECT_TRUE(rows.back().prefill->workers_stated);
  const MeasuredRow& row = rows.front();
  EXPECT_TRUE(row.disaggregated());
  EXPECT_EQ(row.prefill->workers, 2);
  EXPECT_EQ(row.prefill->tensor, 4);
  EXPECT_EQ(row.decode->workers, 3);
  EXPECT_EQ(row.decode->tensor, 8);
  EXPECT_TRUE(row.decode->workers_stated);
  EXPECT_EQ(row.concurrency, std::nullopt);
  EXPECT_EQ(row.ttft, std::nullopt);
}

TEST(MeasuredRows, ADatedRowHasTheLengthsAndTheBudgetOfInferenceX) {
  const std::string header =
      "measured,length_ratio,max_batched_tokens,concurrency,backend,model_path,system,mode,isl,osl,gemm_quant_mode,"
      "moe_quant_mode,silicon_ttft_ms,silicon_tpot_ms\n";
  const std::string rest = "4,vllm,m,h100_sxm,agg,8,8,,,1,1\n";
  const auto rows = parse_measured_rows(
      header + ",,," + rest + "2026-02-08,,," + rest + "2026-02-08,0.5,512," + rest, "m.csv");
  EXPECT_EQ(rows[0].shortest, 1.0);
  EXPECT_EQ(rows[0].batched_tokens, std::nullopt);
  EXPECT_TRUE(rows[0].aiconfigurator);
  EXPECT_FALSE(rows[1].aiconfigurator);
  EXPECT_EQ(rows[1].shortest, 0.8);
  EXPECT_EQ(rows[1].batched_tokens, 8192);
  EXPECT_EQ(rows[2].shortest, 0.5);
  EXPECT_EQ(rows[2].batched_tokens, 512);
  try {
    static_cast<void>(parse_measured_rows(header + ",1.5,,4,vllm,m,h100_sxm,agg,8,8,,,1,1\n", "m.csv"));
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "m.csv:2: length_ratio: expected a share of at most 1, saw \"1.5\"");
  }
}

TEST(MeasuredRows, BadRowsAreNamedByLine) {
  EXPECT_EQ(complaint("4,vllm,m,h100_sxm,both,8,8,,,,,,,,,,1,1\n"),
            "m.csv:2: mode: expected agg or disagg, saw \"both\"");
  EXPECT_EQ(complaint("4,vllm,m,h100_sxm,agg,,8,,,,,,,,,,1,1\n"),
            "m.csv:2: isl: expected a number of tokens, saw none");
  EXPECT_EQ(complaint("4,vllm,m,h100_sxm,agg,8,8,,,,,,,,,,1,1\n\n4,vllm,m,h100_sxm,agg,8,8,,,,,,,,,,1,-1\n"),
            "m.csv:4: silicon_tpot_ms: expected a number above 0, saw \"-1\"");
  EXPECT_EQ(complaint("four,vllm,m,h100_sxm,agg,8,8,,,,,,,,,,1,1\n"),
            "m.csv:2: concurrency: expected a whole number from 1, saw \"four\"");
  EXPECT_EQ(complaint("4,vllm,m,h100_sxm,agg,8,8,,,-2,,,,,,,1,1\n"),
            "m.csv:2: tp_size: expected a whole number from 0, saw \"-2\"");
  EXPECT_EQ(complaint("4,vllm,m,h100_sxm,agg,8\n"), "m.csv:2: 6 fields; the header names 18");
}

}  // namespace
}  // namespace lindos::sim
