-- Dequeue and ack in pairs.  Arguments: base path, and "constant" where the program gives every request one answer: then
-- every other answer is taken for this message, so that the work here is the same.
local common = require("common")
local path, constant
local sample = '{"messages":[{"id":123456,"topic":"bench","payload":' .. common.value ..
  ',"enqueuedAt":1700000000000,"deliverAt":1700000000000,"attempts":0,"maxAttempts":3,"lease":"0123456789abcdef"}]}'
local acks = {}
local turn = 0

function init(args)
  path = args[1]
  constant = args[2] == "constant"
end

function request()
  local ack = table.remove(acks)
  if ack then
    return wrk.format("POST", path .. "/queue/ack", common.headers, ack)
  end
  return wrk.format("POST", path .. "/queue/dequeue", common.headers, '{"topic":"bench"}')
end

function response(status, headers, body)
  if constant then
    turn = turn + 1
    body = turn % 2 == 1 and sample or '{"ok":true}'
  end
  local id, lease = string.match(body, '"id":(%d+).*"lease":"(%x+)"')
  if id then
    acks[#acks + 1] = '{"id":' .. id .. ',"lease":"' .. lease .. '"}'
  end
end
