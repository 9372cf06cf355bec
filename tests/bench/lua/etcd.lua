-- A durable put through etcd's JSON gateway.  Arguments: base path, number of keys.
local common = require("common")
local keys, value

local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(text)
  local out = {}
  for i = 1, #text, 3 do
    local a, b, c = text:byte(i, i + 2)
    local n = a * 65536 + (b or 0) * 256 + (c or 0)
    for shift = 3, 0, -1 do
      local digit = math.floor(n / 64 ^ shift) % 64
      out[#out + 1] = (shift == 1 and not b or shift == 0 and not c) and "=" or alphabet:sub(digit + 1, digit + 1)
    end
  end
  return table.concat(out)
end

function init(args)
  keys = {}
  for n = 1, tonumber(args[2]) do
    keys[n] = base64("user:" .. n)
  end
  value = base64(common.value)
  math.randomseed(os.time())
end

function request()
  local body = '{"key":"' .. keys[math.random(#keys)] .. '","value":"' .. value .. '"}'
  return wrk.format("POST", "/v3/kv/put", {}, body)
end
