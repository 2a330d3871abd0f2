CREATE TABLE IF NOT EXISTS test (
  build_commit TEXT,
  build_number INTEGER,
  cpu_info TEXT,
  gpu_info TEXT,
  backends TEXT,
  model_filename TEXT,
  n_prompt INTEGER,
  n_gen INTEGER,
  n_depth INTEGER,
  test_time TEXT,
  avg_ns INTEGER,
  stddev_ns INTEGER,
  avg_ts INTEGER,
  stddev_ts INTEGER
);

INSERT INTO test (build_commit, build_number, cpu_info, gpu_info, backends, model_filename, n_prompt, n_gen, n_depth, test_time, avg_ns, stddev_ns, avg_ts, stddev_ts) VALUES ('8cf427ff', '5163', 'a CPU', 'a GPU', 'CUDA', 'm.gguf', '16', '0', '0', '2026-11-26T07:34:24Z', '2000000', '1000', '1.0', '0.0');
INSERT INTO test (build_commit, build_number, cpu_info, gpu_info, backends, model_filename, n_prompt, n_gen, n_depth, test_time, avg_ns, stddev_ns, avg_ts, stddev_ts) VALUES ('8cf427ff', '5163', 'a CPU', 'a GPU', 'CUDA', 'm.gguf', '0', '8', '16', '2026-11-26T07:34:24Z', '8000000', '0', '1.0', '0.0');
INSERT INTO test (build_commit, build_number, cpu_info, gpu_info, backends, model_filename, n_prompt, n_gen, n_depth, test_time, avg_ns, stddev_ns, avg_ts, stddev_ts) VALUES ('8cf427ff', '5163', 'a CPU', 'a GPU', 'CUDA', 'm.gguf', '16', '8', '0', '2026-11-26T07:34:24Z', '9000000', '0', '1.0', '0.0');
