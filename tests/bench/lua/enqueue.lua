-- Arguments: base path.
local common = require("common")
local path
local body = '{"topic":"in","payload":' .. common.value .. "}"

function init(args)
  path = args[1] .. "/queue/enqueue"
end

function request()
  return wrk.format("POST", path, common.headers, body)
end
