-- Rendered by rackwright: which conversation a request belongs to. A chat goes on if its messages begin with all those of an
-- earlier request, so what it was before is everything up to what the model wrote last.
local find, byte, sub, match = string.find, string.byte, string.sub, string.match
local BACKSLASH, OPEN_ARRAY = byte("\\[", 1, 2)

-- Where a request has its messages, and what of them the model wrote: a role, or a type of /v1/responses.
local LISTS = { messages = true, input = true }
local SAID = { role = true, type = true }
local BY_MODEL = { assistant = true, reasoning = true, function_call = true, custom_tool_call = true }
local BEFORE_USER = { system = true, developer = true }

-- What of a prompt without messages tells conversations apart, in bytes.
local PROMPT = 1024

-- Return a reader for read_json. Afterwards it has the list of messages (first, last), where the last of them begin that the
-- model wrote (written), and where the first one ends that isn't the operator's (opening); each nil if there is none.
function messages_of(body)
    local list = { wrote = {} }
    local awaited, message, by_model, by_user
    function list.text(depth, first, last, is_key)
        if not is_key then return end
        if depth == 1 then
            awaited = not list.first and LISTS[unescaped(sub(body, first, last))]
        elseif depth == 3 and message and SAID[sub(body, first, last)] then
            local word = match(body, '^%s*:%s*"([%a_]+)"', last + 2)
            by_model = by_model or BY_MODEL[word]
            by_user = by_user and not BEFORE_USER[word]
        end
    end
    function list.opens(depth, at)
        if depth == 1 and awaited and byte(body, at) == OPEN_ARRAY then
            list.first, list.open = at + 1, true
        elseif depth == 2 and list.open then
            message, by_model, by_user = at, false, true
        end
        if depth == 1 then awaited = false end
    end
    function list.closes(depth, at)
        if depth == 1 and list.open then
            list.last, list.open = at - 1, false
        elseif depth == 2 and message then
            if by_model and not list.writes then list.written = message end
            list.writes = by_model
            if by_user and not list.opening then list.opening = at end
            message = nil
        end
    end
    return list
end

-- Return the first and last position of this part without the blanks and commas around it.
local function trimmed(body, first, last)
    first = find(body, "[^%s,]", first) or last + 1
    while last >= first and find(body, "^[%s,]", last) do last = last - 1 end
    return first, last
end

-- Return a hash of a part of the body, whichever characters of it are written with an escape. `hash` takes a text. The part
-- is read in blocks, because it may be as large as the largest request.
local BLOCK = 65536

-- Return the last position up to `stop` behind which no escape is cut apart.
local function uncut(body, first, stop)
    for at = math.max(first, stop - 4), stop do
        local run = at
        while run > first and byte(body, run - 1) == BACKSLASH do run = run - 1 end
        if byte(body, at) == BACKSLASH and (at - run) % 2 == 0 then return at - 1 end
    end
    return stop
end

function hash_of(body, first, last, hash)
    local state, rest = "", ""
    first, last = trimmed(body, first, last)
    while first <= last do
        local stop = math.min(first + BLOCK - 1, last)
        if stop < last then stop = uncut(body, first, stop) end
        rest = rest .. plain(sub(body, first, stop))
        while #rest >= BLOCK do
            state, rest = hash(state .. sub(rest, 1, BLOCK)), sub(rest, BLOCK + 1)
        end
        first = stop + 1
    end
    return hash(state .. rest)
end

-- Return hashes of what the request asks, of what the one before asked if it has answers in it (else ""), and of its
-- beginning, by which replicas are chosen. All embeddings of a client are one conversation: those of two models can't be
-- compared.
function conversation_of(path, body, list, hash)
    if path == "/v1/embeddings" then return hash(""), "", "" end
    if not list.first or not list.last then
        local _, prompt = find(body, '"prompt"%s*:%s*["%[]')
        prompt = prompt or 0
        return hash_of(body, 1, #body, hash), "", hash_of(body, prompt + 1, math.min(prompt + PROMPT, #body), hash)
    end
    local before = list.written and hash_of(body, list.first, list.written - 1, hash) or ""
    return hash_of(body, list.first, list.last, hash), before, hash_of(body, list.first, list.opening or list.last, hash)
end

-- Set what was asked (txn.asked), which earlier request it goes on from (txn.before), whether it has an answer in it
-- (txn.goes_on), and a number from 0 to 999999 that is the same for the same request (txn.drawn), from the hashes of the facts.
core.register_action("conversation", { "http-req" }, function(txn)
    local whose = string.format("%s|%s|%s|", txn:get_var("txn.deal"), txn:get_var("txn.key"), txn:get_var("txn.model"))
    local now, before = txn:get_var("txn.facts.asked"), txn:get_var("txn.facts.before")
    if before ~= "" then txn:set_var("txn.goes_on", "yes") end
    local name = txn.f:req_hdr("x-conversation-id")
    if name then now, before = "named|" .. name, "named|" .. name end
    txn:set_var("txn.asked", tostring(txn.c:xxh64(whose .. now)))
    if before ~= "" then txn:set_var("txn.before", tostring(txn.c:xxh64(whose .. before))) end
    txn:set_var("txn.drawn", txn.c:xxh32(whose .. now) % 1000000)
end)
