-- Rendered by rackwright: what keeps one key from learning of another key's prompts. vLLM reuses what it computed for the
-- beginning of a prompt only among requests with the same salt, and answers only to the name that the fleet file has for the
-- model. If a key occurs twice in an object, parsers take the last value, so a client's own salt has no effect.
local byte = string.byte
local BRACE = byte("}")
local BLANK = { [9] = true, [10] = true, [13] = true, [32] = true }

local Salt = { id = "salt", flags = filter.FLT_CFG_FL_HTX }
Salt.__index = Salt

function Salt:new() return setmetatable({}, Salt) end

function Salt:http_headers(txn, message)
    if message.channel:is_resp() then return filter.CONTINUE end
    local salt, name = txn:get_var("txn.salt"), txn:get_var("txn.engine_name")
    if not salt or not name then return filter.ERROR end
    self.salted = ',"model":"' .. name .. '","cache_salt":"' .. salt .. '"'
    if txn:get_var("txn.adds_usage") then
        self.salted = self.salted .. ',"stream_options":{"include_usage":true}'
    end
    -- A client can't set it. 0 is usual.
    local priority = tonumber(txn:get_var("txn.scheduling") or "")
    if priority then self.salted = self.salted .. string.format(',"priority":%d', priority) end
    if message:get_headers()["content-length"] then
        message:set_body_len(txn:get_var("txn.body_bytes") + #self.salted)
    end
    filter.register_data_filter(self, message.channel)
    return filter.CONTINUE
end

-- Return the position of the text's last brace, if only blanks follow it.
local function last_brace(text)
    local at = #text
    while BLANK[byte(text, at)] do at = at - 1 end
    return byte(text, at) == BRACE and at or nil
end

-- Everything is passed on but what could be the end of the object. The gateway has checked that the body is one.
function Salt:http_payload(_, message)
    local text = message:body() or ""
    local brace = last_brace(text)
    if not message:eom() then return brace and brace - 1 or #text end
    assert(message:insert(self.salted, brace - 1) == #self.salted)
    filter.unregister_data_filter(self, message.channel)
    return #text + #self.salted
end

core.register_filter("salt", Salt, function(salt) return salt end)
