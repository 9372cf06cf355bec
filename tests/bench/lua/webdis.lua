-- A durable SET through webdis.  Arguments: base path, number of keys.
local common = require("common")
local keys

function init(args)
  keys = tonumber(args[2])
  math.randomseed(os.time())
end

function request()
  return wrk.format("POST", "/", {}, "SET/user:" .. math.random(0, keys - 1) .. "/" .. common.value)
end
