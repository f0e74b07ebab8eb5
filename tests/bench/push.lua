-- SPDX-License-Identifier: Apache-2.0
-- wrk: POST BENCH_SIZE octets with the Basic credentials BENCH_AUTH; the last line is JSON.
wrk.method = "POST"
wrk.body = string.rep("x", tonumber(os.getenv("BENCH_SIZE")))
wrk.headers["Authorization"] = os.getenv("BENCH_AUTH")
wrk.headers["Content-Type"] = "application/json"

function done(summary, latency)
    local e = summary.errors
    io.write(string.format('{"requests":%d,"us":%d,"failed":%d,"p50_us":%d,"p99_us":%d}\n',
        summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout,
        latency:percentile(50), latency:percentile(99)))
end
