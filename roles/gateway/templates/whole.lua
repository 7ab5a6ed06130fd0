-- Rendered by rackwright: a request says its length. Without one it would be sent in chunks, with the headers that its client
-- wrote after the last of them (trailers), which no rule of HAProxy sees.
local Whole = { id = "whole", flags = filter.FLT_CFG_FL_HTX }
Whole.__index = Whole

function Whole:new() return setmetatable({}, Whole) end

-- The body is complete: frontends wait for that.
function Whole:http_headers(txn, message)
    if not message.channel:is_resp() and message:get_headers()["transfer-encoding"] then
        message:set_body_len(txn:get_var("txn.body_bytes"))
    end
    return filter.CONTINUE
end

core.register_filter("whole", Whole, function(whole) return whole end)
