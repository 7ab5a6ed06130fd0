-- Rendered by rackwright: what one key could learn of another key's prompts, because engines reuse what they computed for
-- the beginning of an earlier prompt.

-- vLLM reuses it only among requests with the same salt, and answers only to the name that the fleet file has for the model.
-- If a key occurs twice in an object, parsers take the last value, so a client's own salt has no effect.
local BRACE = string.byte("}")
local BLANK = { [9] = true, [10] = true, [13] = true, [32] = true }

local Salt = { id = "salt", flags = filter.FLT_CFG_FL_HTX }
Salt.__index = Salt

function Salt:new() return setmetatable({}, Salt) end

-- A body that doesn't end as an object does is left as it is: engines refuse it.
function Salt:http_headers(txn, message)
    if message.channel:is_resp() then return filter.CONTINUE end
    local salt, name = txn:get_var("txn.salt"), txn:get_var("txn.engine_name")
    if not salt or not name then return filter.ERROR end
    local body = txn.f:req_body() or ""
    local closing = #body
    while BLANK[body:byte(closing)] do closing = closing - 1 end
    if body:byte(closing) ~= BRACE then return filter.CONTINUE end
    self.before, self.ending = closing - 1, #body - closing + 1
    self.salted = ',"model":"' .. name .. '","cache_salt":"' .. salt .. '"}'
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
local FIGURES = { prompt_tokens_details = true, timings = true, prompt_progress = true }

-- What an object's name, its colon and its brace take at most, in bytes.
local LONGEST = 64

-- Most parts have none, and this is faster than a pattern.
local function may_have_figures(text)
    for name in pairs(FIGURES) do
        if text:find(name, 1, true) then return true end
    end
    return false
end

-- Return the position after the first brace that opens an object of figures, if there is one from `least` on. Its name may
-- begin earlier, at `at`. What a model says can't look like one: a quote within a string is written \".
local function opened(text, at, least)
    local brace, name, _ = at - 1, nil, nil
    repeat
        _, brace, name = text:find('"([%l_]+)"%s*:%s*{', brace + 1)
    until not brace or brace >= least and FIGURES[name]
    return brace and brace + 1
end

-- Return where the objects that are open at this position end, and how many of them don't.
local function closed(text, at, open)
    while open > 0 do
        at = text:find("[{}]", at)
        if not at then return #text + 1, open end
        open = open + (text:byte(at) == BRACE and -1 or 1)
        at = at + 1
    end
    return at - 1, 0
end

-- Return this part of an answer with empty objects of figures, and how many of them are open at its end. `before` is the
-- end of what came before it, and `open` how many were open there.
local function without_figures(before, part, open)
    local text, kept, at, from = before .. part, {}, 1, #before + 1
    if open == 0 and not may_have_figures(text) then return part, 0 end
    repeat
        if open > 0 then from, open = closed(text, from, open) end
        local inside = opened(text, at, from)
        kept[#kept + 1] = text:sub(from, (inside or 0) - 1)
        if inside then at, from, open = inside, inside, 1 end
    until not inside
    return table.concat(kept), open
end

local Figures = { id = "figures", flags = filter.FLT_CFG_FL_HTX }
Figures.__index = Figures

function Figures:new() return setmetatable({ before = "", open = 0 }, Figures) end

function Figures:http_headers(txn, message)
    if not message.channel:is_resp() then return filter.CONTINUE end
    local length = message:get_headers()["content-length"]
    if length then
        local body = txn.f:res_body() or ""
        if #body == tonumber(length[0]) then
            message:set_body_len(#without_figures("", body, 0))
        else
            -- Too large for a buffer: it ends when the connection does.
            message:del_header("content-length")
        end
    end
    filter.register_data_filter(self, message.channel)
    return filter.CONTINUE
end

-- All of a part is passed on at once. If a filter keeps a piece of an answer larger than a buffer, HAProxy (3.0.11) may
-- read no more of it.
function Figures:http_payload(_, message)
    local text = message:body() or ""
    local rest, open = without_figures(self.before, text, self.open)
    if #rest < #text then assert(message:set(rest) == #rest) end
    self.before, self.open = (self.before .. text):sub(-LONGEST), open
end

core.register_filter("figures", Figures, function(figures) return figures end)
