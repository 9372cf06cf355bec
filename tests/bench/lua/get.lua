-- Arguments: base path, number of keys.
local common = require("common")
local path, keys

function init(args)
  path = args[1] .. "/kv/get"
  keys = tonumber(args[2])
  math.randomseed(os.time())
end

function request()
  return wrk.format("POST", path, common.headers, '{"key":' .. common.key(math.random(0, keys - 1)) .. "}")
end
