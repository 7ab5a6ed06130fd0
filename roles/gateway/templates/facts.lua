-- Rendered by rackwright: what the gateway needs to know of a request's body, which is read once.
local byte, find, match, sub = string.byte, string.find, string.match, string.sub
local QUOTE = byte('"')

-- How many blanks may follow the body. What follows its last brace waits in a buffer until it is complete.
local MOST_BLANKS = 1024

-- Parameters of /v1/responses with which an engine would have to remember a request → what they begin with then. Another engine
-- may get the next request.
local REMEMBERED = { previous_response_id = '^"', conversation = '^["{]', store = "^true", background = "^true" }

-- Return a reader for read_json. Afterwards it has the model's name as the body has it, how often the body names one, and what it
-- says of streams: `stream` is nil if it says nothing.
local function members_of(body)
    local members = { models = 0 }
    local member
    local values = {
        model = function(at)
            members.models = members.models + 1
            local quote = byte(body, at) == QUOTE and closing_quote(body, at + 1)
            members.model = members.model or quote and unescaped(sub(body, at + 1, quote - 1))
        end,
        stream = function(at) members.stream = match(body, "^true", at) ~= nil end,
    }
    function members.text(depth, first, last, is_key)
        if depth > 2 or not is_key then return end
        local name = unescaped(sub(body, first, last))
        if depth == 1 then
            member = name
            local at = find(body, "[^%s:]", last + 2) or #body
            if values[name] then values[name](at) end
            if REMEMBERED[name] and match(body, REMEMBERED[name], at) then members.remembered = true end
        elseif member == "stream_options" and name == "include_usage" then
            members.include_usage = match(body, "^%s*:%s*true", last + 2) ~= nil
        end
    end
    function members.opens() end
    function members.closes() end
    return members
end

local function said(value) return value == nil and "" or tostring(value) end

-- Return these facts, separated by |. What a list can't hold isn't the name of a model.
--   1 the model that it names   2 whether it asks for a stream   3 whether it asks for the usage in it
--   4 why an engine must not get it, or "none"   5 why a cloud must not get it, or "none"
--   6 hash of its conversation   7 hash of the conversation before, or nothing   8 hash of the conversation's beginning   9 bytes
local function facts_of(body, path, hash)
    local members, limits, list = members_of(body), limits_of(body), messages_of(body)
    local ending = read_json(body, { members, limits, list })
    local whole = ending and find(body, "^%s*{") and #body - ending <= MOST_BLANKS and not find(body, "%S", ending + 1)
    local engine = limits.wrong or not whole and "json" or members.models > 1 and "model" or "none"
    if engine == "none" and path == "/v1/responses" and members.remembered then engine = "state" end
    local cloud = ambiguous(body) or not whole and "json" or "none"
    local name = members.model and match(members.model, "^[%w._:/-]+$") or ""
    local asked, before, beginning = conversation_of(path, body, list, hash)
    return table.concat({
        name, said(members.stream), said(members.include_usage), engine, cloud, asked, before, beginning, #body,
    }, "|")
end

-- Set txn.facts. If the script ends early, it isn't set.
core.register_action("facts", { "http-req" }, function(txn)
    local function hash(text) return tostring(txn.c:xxh64(text)) end
    txn:set_var("txn.facts", facts_of(txn.f:req_body() or "", txn.f:path(), hash))
end)

-- Set txn.large if the body doesn't fit into the buffer of a usual request. One of many small chunks fills it before it has
-- that many bytes.
local most_small = tonumber((...))

core.register_action("large", { "http-req" }, function(txn)
    if txn.req:is_full() or txn.f:req_body_len() > most_small then txn:set_var("txn.large", "yes") end
end)
