-- A bit of everything.  Arguments: base path, number of keys.
local common = require("common")
local path, keys

function init(args)
  path = args[1]
  keys = tonumber(args[2])
  math.randomseed(os.time())
end

local function post(endpoint, body)
  return wrk.format("POST", path .. endpoint, common.headers, body)
end

function request()
  local dice = math.random(100)
  local key = common.key(math.random(0, keys - 1))
  if dice <= 70 then
    return post("/kv/get", '{"key":' .. key .. "}")
  elseif dice <= 85 then
    return post("/kv/set", '{"key":' .. key .. ',"value":' .. common.value .. "}")
  elseif dice <= 88 then
    return post("/kv/list", '{"start":' .. key .. ',"limit":20}')
  elseif dice <= 92 then
    return post("/queue/enqueue", '{"topic":"mixed","payload":1}')
  elseif dice <= 96 then
    return post("/queue/dequeue", '{"topic":"mixed"}')
  end
  return post("/kv/increment", '{"key":["counter",' .. math.random(100) .. "]}")
end
