-- Rendered by rackwright: what one key could learn of another key's prompts, because engines reuse what they computed for
-- the beginning of an earlier prompt.

-- vLLM reuses it only among requests with the same salt. If a key occurs twice in an object, parsers take the last value,
-- so a client's own salt has no effect.
local BRACE = string.byte("}")
local BLANK = { [9] = true, [10] = true, [13] = true, [32] = true }

local Salt = { id = "salt", flags = filter.FLT_CFG_FL_HTX }
Salt.__index = Salt

function Salt:new() return setmetatable({}, Salt) end

-- A body that doesn't end as an object does is left as it is: engines refuse it.
function Salt:http_headers(txn, message)
    if message.channel:is_resp() then return filter.CONTINUE end
    local salt = txn:get_var("txn.salt")
    if not salt then return filter.ERROR end
    local body = txn.f:req_body() or ""
    local closing = #body
    while BLANK[body:byte(closing)] do closing = closing - 1 end
    if body:byte(closing) ~= BRACE then return filter.CONTINUE end
    self.before, self.ending = closing - 1, #body - closing + 1
    self.salted = ',"cache_salt":"' .. salt .. '"}'
    if message:get_headers()["content-length"] then
        message:set_body_len(self.before + #self.salted)
    end
    filter.register_data_filter(self, message.channel)
    return filter.CONTINUE
end

-- Nothing is passed on before the body is complete. Frontends wait for that anyway.
function Salt:http_payload(_, message)
    if not message:eom() then return 0 end
    assert(message:set(self.salted, self.before, self.ending) == #self.salted)
    filter.unregister_data_filter(self, message.channel)
end

core.register_filter("salt", Salt, function(salt) return salt end)

-- llama-server has no salt, but says in these objects how much of a prompt it reused, and how long the rest took.
local FIGURES = { "prompt_tokens_details", "timings", "prompt_progress" }

-- No object of figures is longer, in bytes.
local LONGEST = 4096

-- What a model says can't look like a figure: a quote within a string is written \".
local function without_figures(text)
    for _, name in ipairs(FIGURES) do
        if text:find(name, 1, true) then
            local figure = '"' .. name .. '"%s*:%s*%b{}'
            text = text:gsub(",%s*" .. figure, ""):gsub(figure, '"' .. name .. '":{}')
        end
    end
    return text
end

local Figures = { id = "figures", flags = filter.FLT_CFG_FL_HTX }
Figures.__index = Figures

function Figures:new() return setmetatable({}, Figures) end

function Figures:http_headers(txn, message)
    if not message.channel:is_resp() then return filter.CONTINUE end
    local length = message:get_headers()["content-length"]
    if length then
        local body = txn.f:res_body() or ""
        if #body == tonumber(length[0]) then
            message:set_body_len(#without_figures(body))
        else
            -- Too large for a buffer: it ends when the connection does.
            message:del_header("content-length")
        end
    end
    filter.register_data_filter(self, message.channel)
    return filter.CONTINUE
end

-- An event of a stream ends in a newline and is passed on at once. Of anything else, the end may be half a figure.
function Figures:http_payload(_, message)
    local text = message:body() or ""
    local rest = without_figures(text)
    if #rest < #text then assert(message:set(rest) == #rest) end
    if not message:eom() and rest:sub(-1) ~= "\n" then return math.max(#rest - LONGEST, 0) end
end

core.register_filter("figures", Figures, function(figures) return figures end)
