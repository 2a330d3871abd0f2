# SPDX-License-Identifier: Apache-2.0
"""Files in the formats of other tools, made up for the tests: the figures mean nothing."""
import json

VLLM = {
    "date": "20261126-073424", "endpoint_type": "openai", "backend": "openai", "label": None, "model_id": "m", "tokenizer_id": "m",
    "num_prompts": 4, "request_rate": "inf", "burstiness": 1.0, "max_concurrency": None, "duration": 2.0, "completed": 4,
    "failed": 0, "total_input_tokens": 48, "total_output_tokens": 32, "request_throughput": 2.0, "request_goodput": None,
    "output_throughput": 16.0, "total_token_throughput": 40.0, "mean_ttft_ms": 110.0, "median_ttft_ms": 100.0, "std_ttft_ms": 4.0,
    "p99_ttft_ms": 120.0, "mean_tpot_ms": 11.0, "median_tpot_ms": 10.0, "std_tpot_ms": 1.0, "p99_tpot_ms": 12.0,
}

COLUMNS = ("build_commit", "build_number", "cpu_info", "gpu_info", "backends", "model_filename", "n_prompt", "n_gen", "n_depth",
           "test_time", "avg_ns", "stddev_ns", "avg_ts", "stddev_ts")
CREATE = "CREATE TABLE IF NOT EXISTS test (\n" + ",\n".join(
    f"  {name} {'TEXT' if name in COLUMNS[:1] + COLUMNS[2:6] + COLUMNS[9:10] else 'INTEGER'}" for name in COLUMNS) + "\n);\n\n"


def llama_row(prompt, generated, depth, avg_ns, stddev_ns):
    values = ("8cf427ff", "5163", "a CPU", "a GPU", "CUDA", "m.gguf", prompt, generated, depth, "2026-11-26T07:34:24Z", avg_ns,
              stddev_ns, 1.0, 0.0)
    return f"INSERT INTO test ({', '.join(COLUMNS)}) VALUES ({', '.join(repr(str(v)) for v in values)});\n"


def nccl(op="all_reduce_perf", **changes):
    timed = {"time": 31.5, "alg_bw": 33.29, "bus_bw": 58.25, "nwrong": 0.0}
    results = [{"size": size, "count": size // 4, "type": "float", "redop": "sum", "root": "    -1",
                "out_of_place": {**timed, "time": time}, "in_place": {**timed, "time": time * 0.9}, "actual_iterations": 20,
                "experiment_name": op} for size, time in ((1 << 20, 31.5), (1 << 24, 120.0))]
    return {"version": 2, "start_time": "2026-11-26 07:34:24", "args": [f"./build/{op}", "-g", "8"], "env": ["A=b"],
            "nccl_version": 22809,
            "config": {"nthreads": 1, "ngpus": 8, "iterations": 20,
                       "devices": [{"rank": 0, "device": 0, "device_info": "NVIDIA H100 80GB HBM3"}]},
            "results": results, "out_of_bounds": {"count": 0, "okay": "true"}, "end_time": "2026-11-26 07:35:00", **changes}


def write_json(path, value):
    path.write_text(json.dumps(value))
    return path
