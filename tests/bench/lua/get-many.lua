-- Arguments: base path, number of keys, keys a request.
local common = require("common")
local path, keys, batch

function init(args)
  path = args[1] .. "/kv/get-many"
  keys = tonumber(args[2])
  batch = tonumber(args[3])
  math.randomseed(os.time())
end

function request()
  local list = {}
  for i = 1, batch do
    list[i] = common.key(math.random(0, keys - 1))
  end
  return wrk.format("POST", path, common.headers, '{"keys":[' .. table.concat(list, ",") .. "]}")
end
