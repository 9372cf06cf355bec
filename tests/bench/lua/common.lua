-- What the scripts share.  wrk gives the arguments behind -- to init; the base path is the target.
local M = {}

M.headers = {
  ["Authorization"] = "Bearer bench-token-of-an-ordinary-length",
  ["Content-Type"] = "application/json",
}

M.value = '{"name":"Grace Hopper","email":"grace@example.com","visits":1906,"tags":["admin","navy"]}'

function M.key(n)
  return string.format('["user","%010d"]', n)
end

-- One line of JSON for the harness to read.
function M.done(summary, latency, bad)
  io.write(string.format(
    '{"requests":%d,"us":%d,"bad":%d,"errors":%d,"p50":%d,"p99":%d,"max":%d}\n',
    summary.requests, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99), latency.max))
end

done = M.done
return M
