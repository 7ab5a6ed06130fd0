-- Rendered by rackwright: what the gateway reads in an answer, and takes out of it. Its tokens are counted for the log, and what
-- the client hasn't asked for goes no further: figures of llama-server, and the usage that was asked of vLLM. A fault here costs
-- a count, never an answer.
local find, sub = string.find, string.sub

-- How much of a plain answer's beginning and end is searched for counts, in bytes. Its text is between them.
local ENDS = 4096
-- A longer event of a stream is passed on as it comes.
local LONGEST_EVENT = 65536

local Answer = { id = "answer", flags = filter.FLT_CFG_FL_HTX }
Answer.__index = Answer

function Answer:new()
    return setmetatable({ counts = {}, events = 0, last = "", figures = new_figures() }, Answer)
end

-- Set the log's counts. What the engine hasn't said is estimated: an event of a stream has about one token.
local function log(answer, txn)
    local prompt, cached, completion = tokens(answer.counts)
    if prompt then txn:set_var("txn.json.prompt_tokens", prompt) end
    if cached then txn:set_var("txn.json.cached_tokens", cached) end
    if completion or answer.events > 0 then txn:set_var("txn.json.completion_tokens", completion or answer.events) end
    if answer.complete and prompt then txn:unset_var("txn.json.estimated") end
end

-- Whether this event only has the usage that the client hasn't asked for.
local function is_unasked(event) return find(event, '"choices"%s*:%s*%[%s*%]') and find(event, '"usage"%s*:%s*{') end

-- Return how much of the text consists of whole events; all of it if its last one is too long to wait for.
local function whole_events(text, ends)
    local last = 0
    while true do
        local _, next = find(text, "\n\r?\n", last + 1)
        if not next then break end
        last = next
    end
    return (ends or #text - last > LONGEST_EVENT) and #text or last
end

-- Count the events of a stream, and remove one that the client hasn't asked for. Return how much may be passed on.
local function read_events(answer, message, text, hides)
    local whole = hides and whole_events(text, message:eom()) or #text
    local part = sub(text, 1, whole)
    local known = answer.last .. part
    if may_count(known) and count_tokens(known, answer.counts) then answer.complete = true end
    answer.last = hides and "" or sub(known, -ENDS)
    answer.events = answer.events + events_in(part)
    if not hides or not may_count(part) then return whole end
    local at = 1
    while true do
        local _, ending = find(part, "\n\r?\n", at)
        ending = ending or #part
        if is_unasked(sub(part, at, ending)) then
            message:remove(at - 1, ending - at + 1)
            answer.events = answer.events - 1
            return whole - (ending - at + 1)
        end
        if ending >= #part then return whole end
        at = ending + 1
    end
end

local function read_plain(answer, message, text)
    if not answer.began then
        answer.began = true
        count_tokens(sub(text, 1, ENDS), answer.counts)
    end
    answer.last = sub(answer.last .. text, -ENDS)
    if message:eom() then
        count_tokens(answer.last, answer.counts)
        answer.complete = true
    end
    return #text
end

function Answer:http_headers(txn, message)
    if not message.channel:is_resp() then return filter.CONTINUE end
    local headers = message:get_headers()
    local kind = headers["content-type"] and headers["content-type"][0] or ""
    self.streams = find(kind, "^text/event%-stream") ~= nil
    if not self.streams and not find(kind, "^application/json") then return filter.CONTINUE end
    self.counting = txn:get_var("txn.counting") ~= nil
    self.hides_usage = txn:get_var("txn.adds_usage") ~= nil
    self.hides_figures = txn:get_var("txn.hides_figures") ~= nil
    if not self.counting then return filter.CONTINUE end
    local length = headers["content-length"]
    if length and self.hides_figures then
        local body = txn.f:res_body() or ""
        if #body == tonumber(length[0]) then
            message:set_body_len(#without_figures(new_figures(), body))
        else
            -- Too large for a buffer: it is sent in chunks.
            message:del_header("content-length")
        end
    end
    filter.register_data_filter(self, message.channel)
    return filter.CONTINUE
end

-- All of a part but an unfinished event is passed on at once. If a filter keeps a piece of an answer larger than a buffer,
-- HAProxy (3.0.11) may read no more of it.
function Answer:http_payload(txn, message)
    local text = message:body() or ""
    local passed = #text
    local ok, why = pcall(function()
        if self.streams then
            passed = read_events(self, message, text, self.hides_usage)
        else
            read_plain(self, message, text)
        end
        log(self, txn)
    end)
    if not ok and not self.failed then
        self.failed = true
        core.Warning("tokens of an answer weren't counted: " .. tostring(why))
    end
    -- The end of an answer in chunks counts as one byte that isn't text. HAProxy would keep it.
    if text == "" then return message:eom() and 1 or 0 end
    if message:eom() then filter.unregister_data_filter(self, message.channel) end
    if not self.hides_figures then return passed end
    local rest = without_figures(self.figures, text)
    if rest ~= text then assert(message:set(rest) == #rest) end
    return #rest
end

core.register_filter("answer", Answer, function(answer) return answer end)
