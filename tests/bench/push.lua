-- SPDX-License-Identifier: Apache-2.0
-- wrk: POST BENCH_SIZE octets with the Basic credentials BENCH_AUTH, or in turn to the targets in the file
-- BENCH_TARGETS (path, tab, Authorization on each line); the last line is JSON.
wrk.method = "POST"
wrk.body = string.rep("x", tonumber(os.getenv("BENCH_SIZE")))
wrk.headers["Authorization"] = os.getenv("BENCH_AUTH")
wrk.headers["Content-Type"] = "application/json"
wrk.headers["X-Bench-Octets"] = os.getenv("BENCH_SIZE")

local targets = os.getenv("BENCH_TARGETS")
if targets then
    local requests, turn = {}, 0
    function init()
        for line in io.lines(targets) do
            local path, auth = line:match("^(%S+)\t(.+)$")
            wrk.headers["Authorization"] = auth
            requests[#requests + 1] = wrk.format("POST", path)
        end
    end
    function request()
        turn = turn % #requests + 1
        return requests[turn]
    end
end

function done(summary, latency)
    local e = summary.errors
    io.write(string.format('{"requests":%d,"us":%d,"failed":%d,"p50_us":%d,"p99_us":%d}\n',
        summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout,
        latency:percentile(50), latency:percentile(99)))
end
